"""Logs as JSON lines on standard error: an event's name and its fields. Knows nothing of what is logged.

`log.info("request", extra={"fields": {"method": "GET", "status": 200}})`
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from shared.domain.times import rfc3339
from shared.settings import Settings


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


def configure_logs(settings: Settings) -> None:
    """Everything that is logged anywhere in this process, from the level of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
