"""How often a user may do something. Pure except for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.token_bucket import TokenBucket

_PRUNE_AT = 1000


class UserBuckets:
    """A bucket for each user. It outlives joins and connections, so that reconnecting does not refill it."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: dict[int, TokenBucket] = {}
        self._prune_at = _PRUNE_AT

    def take(self, user_id: int) -> bool:
        """Take one of the user's tokens. Returns False if there is none."""
        bucket = self._buckets.get(user_id)
        if bucket is None:
            if len(self._buckets) >= self._prune_at:
                self._buckets = {user: kept for user, kept in self._buckets.items() if not kept.is_full}
                self._prune_at = max(_PRUNE_AT, 2 * len(self._buckets))
            bucket = self._buckets[user_id] = TokenBucket(self._rate, self._burst, self._clock)
        return bucket.take()

    def __len__(self) -> int:
        return len(self._buckets)
