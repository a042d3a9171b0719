"""Logs as JSON lines on standard error: an event's name and its fields. Knows nothing of what is logged.

Each module that logs has `log = log_of(__name__)`, and calls `log.info("request", method="GET", status=200)`.

Whatever writes to standard error in a process of ours, library or not, is redacted on its way (shared/redaction.py):
records of every logger by the one handler that there is, and all else by the stream.
"""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TextIO

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from shared.domain.times import rfc3339
from shared.redaction import redacted, redacted_field
from shared.settings import Settings

_SENT = (HttpProcessingError, web.RequestPayloadError)
"""Errors that quote what a client sent, from anywhere in it: tokens stand in request lines and headers."""


_OF_CLIENTS = ("aiohttp.server", "aiohttp.web")
"""Loggers that hear of the connections of clients, and of no other."""


class Log:
    """A module's log. A call names an event, and gives its fields by their names: `log.info("request", status=200)`.

    A call whose level is off costs one look-up. Where even its fields would cost, ask `is_on` before.
    """

    __slots__ = ("_logger", "is_on")

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.is_on = logger.isEnabledFor
        """Whether a line of this level, as `logging.INFO`, would be written."""

    def debug(self, event: str, /, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """With the traceback of `exc_info`, where that is given."""
        self._write(logging.WARNING, event, fields, exc_info)

    def error(self, event: str, /, **fields: object) -> None:
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, /, **fields: object) -> None:
        """An error, with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, event, fields, sys.exception())

    def log(self, level: int, event: str, /, **fields: object) -> None:
        """For a level that is known only where it happens, as `logging.INFO`."""
        self._write(level, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, object], error: BaseException | None = None) -> None:
        if self.is_on(level):
            self._logger.log(level, event, extra={"fields": fields}, exc_info=error)


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
            "event": redacted(_message(record)),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            for name, value in fields.items():
                line[redacted(str(name))] = redacted_field(str(name), value)
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = redacted(record.stack_info)
        return json.dumps(line, default=str)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        # A library's mistake, which logging itself would print with all arguments.
        return str(record.msg)


class RedactedStream(io.TextIOBase):
    """Standard error for all that does not log: tracebacks, warnings, what a library prints."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redacted(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


def redact_bad_requests(record: logging.LogRecord) -> bool:
    """A filter. A request that is no HTTP, and a client that vanishes, are no failures of ours; and the errors quote
    what was sent."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return True
    for cause in _causes(error):
        if isinstance(cause, _SENT):
            _make_small(record, "bad request", cause)
            break
    if isinstance(error, ConnectionError) and record.name in _OF_CLIENTS:
        _make_small(record, "client gone", error)
    return logging.getLogger().isEnabledFor(record.levelno)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that a traceback of it would show."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def _make_small(record: logging.LogRecord, event: str, error: BaseException) -> None:
    record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
    record.msg, record.args, record.exc_info, record.exc_text = event, (), None, None
    record.fields = {"error": type(error).__name__}


def configure_logs(settings: Settings) -> None:
    """Everything that is logged anywhere in this process, every logger from the level of the settings."""
    if not isinstance(sys.stderr, RedactedStream):
        stream = sys.stderr
        sys.stderr = RedactedStream(stream)
    else:
        stream = sys.stderr._stream
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    handler.addFilter(redact_bad_requests)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    # What libraries have set up for themselves, when they were imported, would not come by the handler.
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
            logger.disabled = False
            logger.setLevel(logging.NOTSET)
    logging.captureWarnings(True)
    logging.raiseExceptions = False
