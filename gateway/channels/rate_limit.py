"""How often a user may do something. Pure except for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from shared.buckets import Buckets
from shared.token_bucket import TokenBucket


class UserBuckets:
    """A bucket for each user. It outlives joins and connections, so that reconnecting does not refill it."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets: Buckets[int, TokenBucket] = Buckets(partial(TokenBucket, rate, burst, clock))

    def take(self, user_id: int) -> bool:
        """Take one of the user's tokens. Returns False if there is none."""
        return self._buckets.of(user_id).take()

    def __len__(self) -> int:
        return len(self._buckets)
