"""A token bucket: how often something may happen, in the long run and at once. Pure except for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """Gains `rate` tokens a second and holds at most `burst`. It begins full."""

    __slots__ = ("_burst", "_clock", "_rate", "_since", "_tokens")

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._since = clock()

    def take(self) -> bool:
        """Take a token. Returns False if there is none."""
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def is_like_new(self) -> bool:
        """True if it is full."""
        self._fill()
        return self._tokens >= self._burst

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._since) * self._rate)
        self._since = now
