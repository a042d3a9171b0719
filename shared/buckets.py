"""Buckets by key, such as one for each user, without end and in bounded memory. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

_LOOKED_AT = 2
"""The known keys that are looked at for each new one. So there are never many more than those that must be known."""


class Bucket(Protocol):
    """Counts what one key does."""

    @property
    def is_like_new(self) -> bool:
        """True if it equals a new one, so that it may be forgotten."""


Key = TypeVar("Key", bound=Hashable)
BucketT = TypeVar("BucketT", bound=Bucket)


class Buckets(Generic[Key, BucketT]):
    """A bucket for each key. It is forgotten when it equals a new one, and a key that comes again begins anew."""

    __slots__ = ("_buckets", "_make", "_most", "_shared")

    def __init__(self, make: Callable[[], BucketT], most: int | None = None) -> None:
        """`make` returns a new bucket. Beyond `most` keys, all further ones share one bucket; None means no bound."""
        self._make = make
        self._most = most
        self._buckets: OrderedDict[Key, BucketT] = OrderedDict()
        self._shared: BucketT | None = None

    def of(self, key: Key) -> BucketT:
        """Returns the bucket of the key."""
        bucket = self._buckets.get(key)
        if bucket is None:
            self._forget()
            if self._most is not None and len(self._buckets) >= self._most:
                if self._shared is None:
                    self._shared = self._make()
                return self._shared
            bucket = self._buckets[key] = self._make()
        return bucket

    def _forget(self) -> None:
        """Look at the keys that were looked at longest ago, and forget those whose buckets are like new."""
        buckets = self._buckets
        for _ in range(min(_LOOKED_AT, len(buckets))):
            key, bucket = next(iter(buckets.items()))
            if bucket.is_like_new:
                del buckets[key]
            else:
                buckets.move_to_end(key)

    def __len__(self) -> int:
        return len(self._buckets)
