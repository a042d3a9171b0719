"""Counts requests in the memory of one process, in the same sliding windows as api/rate_counts.py counts in Redis.

It does no I/O.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WINDOW_SECONDS = 60
MOST_SUBJECTS = 100_000
"""The most keys that are counted in one minute. Past it, those that were first seen longest ago are forgotten."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How many requests may be counted under a key in a minute."""

    key: str
    count: int


class LocalCounts:
    """The counts of the current minute and of the one before it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` returns seconds since the epoch."""
        self._clock = clock
        self._window = 0
        self._current: dict[str, int] = {}
        self._previous: dict[str, int] = {}

    def take(self, quotas: Sequence[Quota]) -> int:
        """Count a request under all keys, or under none if one is used up. Returns 0, or the milliseconds to wait."""
        passed = self._turn()
        wait = 0.0
        for one in quotas:
            current, previous = self._current.get(one.key, 0), self._previous.get(one.key, 0)
            if previous * (WINDOW_SECONDS - passed) / WINDOW_SECONDS + current + 1 > one.count:
                wait = max(wait, _wait(current, previous, one.count, passed))
        if wait > 0:
            return math.ceil(wait * 1000)
        for one in quotas:
            self._add(one.key)
        return 0

    def note(self, quotas: Sequence[Quota]) -> None:
        """Count a request that Redis has counted and allowed, so that the count is known here if Redis goes away."""
        self._turn()
        for one in quotas:
            self._add(one.key)

    def give_back(self, quotas: Sequence[Quota]) -> None:
        """Undo one count of each key."""
        self._turn()
        for one in quotas:
            for counts in (self._current, self._previous):
                if counts.get(one.key, 0) > 0:
                    counts[one.key] -= 1
                    break

    def _turn(self) -> float:
        """Begin a new window if it is time. Returns the seconds since the current window began."""
        window, passed = divmod(self._clock(), WINDOW_SECONDS)
        if window != self._window:
            self._previous = self._current if window == self._window + 1 else {}
            self._current = {}
            self._window = int(window)
        return passed

    def _add(self, key: str) -> None:
        count = self._current.get(key)
        if count is None:
            if len(self._current) >= MOST_SUBJECTS:
                del self._current[next(iter(self._current))]
            count = 0
        self._current[key] = count + 1


def _wait(current: int, previous: int, limit: int, passed: float) -> float:
    """Returns the seconds until one more request is allowed."""
    if current + 1 <= limit:
        return WINDOW_SECONDS * (1 - (limit - 1 - current) / previous) - passed
    return WINDOW_SECONDS - passed + WINDOW_SECONDS * max(0.0, 1 - (limit - 1) / current)
