"""Bounds the lines that are written about one event in a second, and those of them that one source causes.

Clients can cause many kinds of lines at will, and a full disk stops everything. Lines that are left out are counted,
and the next line about the event has their number in `left_out`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from functools import partial

from shared.buckets import Buckets
from shared.settings import Settings
from shared.token_bucket import TokenBucket

REQUEST = ("api.middlewares.requests", "request")
"""The logger and the event of the lines about requests. The module that writes them bounds them itself."""

_MOST_KEYS = 1000
_LONGEST_EVENT = 100

Size = tuple[float, float]
"""Lines a second in the long run, and lines at once."""


class LineBudget:
    """Decides which lines are written. `of_event` bounds the lines of an event, `of_source` those from one source."""

    def __init__(self, of_event: Size, of_source: Size, clock: Callable[[], float] = time.monotonic) -> None:
        self._events: Buckets[Hashable, TokenBucket] = Buckets(partial(TokenBucket, *of_event, clock), _MOST_KEYS)
        self._sources: Buckets[Hashable, TokenBucket] = Buckets(partial(TokenBucket, *of_source, clock), _MOST_KEYS)
        self._left_out: dict[Hashable, int] = {}

    def take(self, event: Hashable, source: Hashable) -> int | None:
        """Returns how many lines of the event were left out since its last one; None if this one is left out too.

        `source` is the user or address that caused the line; None if it is unknown.
        """
        # The source comes first: its further lines must not use up those of everybody.
        if (source is None or self._sources.of((event, source)).take()) and self._events.of(event).take():
            return self._left_out.pop(event, 0) if self._left_out else 0
        self._left_out[event] = self._left_out.get(event, 0) + 1
        return None


class LineLimit:
    """A filter for the log's handler. Lines below INFO are for people who look for a fault: all of them are written."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget = LineBudget(
            (settings.log_lines_per_second, settings.log_line_burst),
            (settings.log_lines_per_user_second, settings.log_line_user_burst),
            clock,
        )

    def __call__(self, record: logging.LogRecord) -> bool:
        """True if the line is written."""
        event = (record.name, str(record.msg)[:_LONGEST_EVENT])
        if record.levelno < logging.INFO or event == REQUEST:
            return True
        fields = getattr(record, "fields", None) or {}
        left_out = self._budget.take(event, fields.get("user_id"))
        if left_out:
            record.fields = {**fields, "left_out": left_out}
        return left_out is not None
