"""The lines that OpenTelemetry and its HTTP client log, without their text, which may have the key of a receiver.

A receiver that is away or refuses is no fault of the program: such a line says only that traces are not sent.
"""

from __future__ import annotations

import logging

_LIBRARIES = ("opentelemetry", "urllib3")
EVENT = "traces not sent"


def hide_text_about_traces(record: logging.LogRecord) -> bool:
    """A filter for the log's handler: of these libraries it lets only warnings through.

    What they log as an error is a warning as well. A line has the type of an `error` and the `status` of an answer.
    """
    if record.name.partition(".")[0] not in _LIBRARIES:
        return True
    if record.levelno < logging.WARNING or not logging.root.isEnabledFor(logging.WARNING):
        return False
    record.fields = _fields(record)
    record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
    record.msg, record.args, record.exc_info, record.exc_text, record.stack_info = EVENT, (), None, None, None
    return True


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: dict[str, object] = {}
    given = record.args if isinstance(record.args, tuple) else ()
    for value in (*given, record.exc_info[1] if record.exc_info else None):
        if isinstance(value, BaseException):
            fields["error"] = type(value).__name__
        elif type(value) is int and 100 <= value <= 599:
            fields["status"] = value
    return fields
