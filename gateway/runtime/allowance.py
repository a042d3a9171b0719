"""How much the connections of a user may send. From a user who sends more, the node reads more slowly.

Frames and bytes share one number: a frame costs its length and a fixed number of bytes besides (`per_frame`). The
answers to a user's joins cost their length too. Pure except for the clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

from shared.buckets import Buckets
from shared.settings import Settings

LONGEST_WAIT_SECONDS = 1.0
"""A connection that waits notices only after this time that its client is gone."""


class Allowance:
    """What one user may still send, on all connections to this node. `left` is negative after too much was sent."""

    __slots__ = ("_burst", "_clock", "_rate", "_since", "connections", "left", "per_frame")

    def __init__(self, rate: float, burst: float, per_frame: float, clock: Callable[[], float]) -> None:
        self.left = burst
        """Bytes. Whoever receives a frame subtracts its length and `per_frame`."""
        self.per_frame = per_frame
        self.connections = 0
        """How many open connections share it."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._since = clock()

    def seconds(self) -> float:
        """Returns the seconds to wait before asking again; 0.0 if the next frame may be read now.

        Ask at least about once a second: the time since the last call counts, also if the allowance was full all along.
        """
        now = self._clock()
        self.left = min(self._burst, self.left + (now - self._since) * self._rate)
        self._since = now
        return min(LONGEST_WAIT_SECONDS, -self.left / self._rate) if self.left < 0 else 0.0

    @property
    def is_like_new(self) -> bool:
        """True if it is full, and no connection has it: another connection of the user would get another one."""
        if self.connections:
            return False
        self.seconds()
        return self.left >= self._burst


class Allowances:
    """The allowances of a node's users. They outlive connections, so that reconnecting does not refill them."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        rate = float(settings.bytes_per_second)
        burst = rate * settings.traffic_burst_seconds if settings.rate_limits else math.inf
        per_frame = rate / settings.frames_per_second
        self._of_users: Buckets[int, Allowance] = Buckets(partial(Allowance, rate, burst, per_frame, clock))

    def of(self, user_id: int) -> Allowance:
        """Returns the user's allowance. A connection counts itself in `connections` while it is open."""
        return self._of_users.of(user_id)

    def __len__(self) -> int:
        return len(self._of_users)
