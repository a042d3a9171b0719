"""Bounds how many log lines of each kind are written in a minute, and counts those that are left out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

LINES_PER_MINUTE = 60
"""The most lines of one kind in a minute."""

Kind = TypeVar("Kind")


class LinesPerMinute(Generic[Kind]):
    """Decides which lines may be written. Every kind is remembered for a minute, so there must be few kinds."""

    def __init__(self, report: Callable[[Kind, int], None], clock: Callable[[], float] = time.monotonic) -> None:
        """With the first line after a minute, `report` gets each kind that lacks lines, and how many."""
        self._report = report
        self._clock = clock
        self._since = clock()
        self._lines: dict[Kind, int] = {}

    def take(self, kind: Kind) -> bool:
        """Returns whether a line of this kind may be written now."""
        now = self._clock()
        if now - self._since >= 60.0:
            ended, self._lines, self._since = self._lines, {}, now
            for one, lines in ended.items():
                if lines > LINES_PER_MINUTE:
                    self._report(one, lines - LINES_PER_MINUTE)
        self._lines[kind] = self._lines.get(kind, 0) + 1
        return self._lines[kind] <= LINES_PER_MINUTE
