"""Logs on standard error, an event's name and its fields: JSON lines, or lines for a person at a terminal.

Each module that logs has `log = log_of(__name__)`, and calls `log.info("request", method="GET", status=200)`.

Everything that writes to standard error, also libraries, is redacted (shared/redaction.py): log records by the only
handler, all other text by the stream. The number of lines about one event is limited (shared/log_limits.py).
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
from shared.faults import FAULTS
from shared.log_limits import LineLimit
from shared.readable import readable
from shared.redaction import redacted, redacted_field
from shared.settings import Settings
from shared.tracing.lines import hide_text_about_traces

_SENT = (HttpProcessingError, web.RequestPayloadError)
"""Errors that quote what a client sent, which may have tokens: they occur in request lines and headers."""


_OF_CLIENTS = ("aiohttp.server", "aiohttp.web")
"""Loggers that report only about connections of clients."""


class Log:
    """A module's log. A call names an event and its fields: `log.info("request", status=200)`.

    A call whose level is off costs one look-up. If computing the fields is expensive, check `is_on` first.
    """

    __slots__ = ("_logger", "is_on")

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.is_on = logger.isEnabledFor
        """`is_on(level)` is True if lines of this level, such as `logging.INFO`, are written."""

    def debug(self, event: str, /, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, *, exc_info: BaseException | None = None, **fields: object) -> None:
        """Log a warning, with the traceback of `exc_info` if it is given."""
        self._write(logging.WARNING, event, fields, exc_info)

    def error(self, event: str, /, **fields: object) -> None:
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, /, **fields: object) -> None:
        """Log an error with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, event, fields, sys.exception())

    def log(self, level: int, event: str, /, **fields: object) -> None:
        """Log at a level that is decided at run time, such as `logging.INFO`."""
        self._write(level, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, object], error: BaseException | None = None) -> None:
        if self.is_on(level):
            self._logger.log(level, event, extra={"fields": fields}, exc_info=error)


def log_of(name: str) -> Log:
    """Returns the log of the module with this name."""
    return Log(logging.getLogger(name))


class JsonLines(logging.Formatter):
    """One line for each record. Text without a UTF-8 form is escaped."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.entry(record), default=str)

    def entry(self, record: logging.LogRecord) -> dict[str, object]:
        """Returns what the line says, without secrets."""
        entry: dict[str, object] = {
            "time": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": redacted(_message(record)),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            for name, value in fields.items():
                entry[redacted(str(name))] = redacted_field(str(name), value)
        if record.exc_info:
            entry["exception"] = redacted(self.formatException(record.exc_info))
        if record.stack_info:
            entry["stack"] = redacted(record.stack_info)
        return entry


class ReadableLines(JsonLines):
    """Lines for a person, with the local time."""

    def __init__(self, process: str, *, has_colours: bool) -> None:
        super().__init__()
        self._process = process
        self._has_colours = has_colours

    def format(self, record: logging.LogRecord) -> str:
        clock = f"{datetime.fromtimestamp(record.created):%H:%M:%S}"
        return readable(self.entry(record), clock, self._process, has_colours=self._has_colours)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        # A library passed wrong arguments. Python's logging would print them all.
        return str(record.msg)


class RedactedStream(io.TextIOBase):
    """Standard error for everything except logs: tracebacks, warnings, output of libraries. Redacts it."""

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


def _lines(settings: Settings, process: str, is_terminal: bool) -> logging.Formatter:
    if settings.log_format == "json" or not (settings.log_format or is_terminal):
        return JsonLines()
    return ReadableLines(process, has_colours=is_terminal and not settings.no_color and settings.term != "dumb")


def redact_bad_requests(record: logging.LogRecord) -> bool:
    """A filter for the log handler: requests that are not HTTP, and clients that vanish, become short INFO lines.

    They are no fault of the server, and their errors quote what the client sent.
    """
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return True
    for cause in _causes(error):
        if isinstance(cause, _SENT):
            _shorten(record, "bad request", cause)
            break
    if isinstance(error, ConnectionError) and record.name in _OF_CLIENTS:
        _shorten(record, "client gone", error)
    return logging.getLogger().isEnabledFor(record.levelno)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error and all other errors that its traceback would show."""
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


def _shorten(record: logging.LogRecord, event: str, error: BaseException) -> None:
    record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
    record.msg, record.args, record.exc_info, record.exc_text = event, (), None, None
    record.fields = {"error": type(error).__name__}


def configure_logs(settings: Settings, process: str = "", *, for_people: str = "") -> None:
    """Make all loggers of the process write lines, from the level of the settings on.

    `process` is what lines for people call this process: several may share a terminal. `for_people` is a module whose
    lines of level DEBUG belong to those for people.
    """
    if not isinstance(sys.stderr, RedactedStream):
        stream = sys.stderr
        sys.stderr = RedactedStream(stream)
    else:
        stream = sys.stderr._stream
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_lines(settings, process, stream.isatty()))
    handler.addFilter(redact_bad_requests)
    handler.addFilter(hide_text_about_traces)
    handler.addFilter(FAULTS.note)
    handler.addFilter(LineLimit(settings))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    is_for_people = isinstance(handler.formatter, ReadableLines)
    # Handlers that libraries added when they were imported would bypass the redaction.
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
            logger.disabled = False
            logger.setLevel(logging.NOTSET)
    if for_people and is_for_people and root.isEnabledFor(logging.INFO):
        logging.getLogger(for_people).setLevel(logging.DEBUG)
    logging.captureWarnings(True)
    logging.raiseExceptions = False
