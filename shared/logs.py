"""Logs as JSON lines on standard error: an event's name and its fields. Knows nothing of what is logged.

`log.info("request", extra={"fields": {"method": "GET", "status": 200}})`
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from shared.domain.times import rfc3339
from shared.settings import Settings


class Log:
    """A logger whose calls cannot get the shape of fields wrong: `log.info("picture stored", user_id=1, bytes=2)`."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, /, **fields: object) -> None:
        """An error, with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, event, fields, exc_info=True)

    def _write(self, level: int, event: str, fields: dict[str, object], *, exc_info: bool = False) -> None:
        self._logger.log(level, event, extra={"fields": fields}, exc_info=exc_info)


def log_of(name: str) -> Log:
    """The log of a module, which is named as the module is."""
    return Log(logging.getLogger(name))


class JsonLines(logging.Formatter):
    """One line a record, whatever is in it: the standard encoder escapes what has no UTF-8."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update(fields)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def without_what_was_sent(record: logging.LogRecord) -> bool:
    """A filter for aiohttp's server. A request that is no HTTP is its client's fault and no failure of ours, and the
    error quotes it: tokens stand in request lines and headers."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, (HttpProcessingError, web.RequestPayloadError)):
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        record.msg, record.args, record.exc_info = "bad request", (), None
        record.fields = {"error": type(error).__name__}
    return logging.getLogger(record.name).isEnabledFor(record.levelno)


def configure_logs(settings: Settings) -> None:
    """Everything that is logged anywhere in this process, from the level of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    logging.getLogger("aiohttp.server").addFilter(without_what_was_sent)
