"""Tests token buckets with a clock that each test sets."""

from __future__ import annotations

from gateway.channels.rate_limit import UserBuckets
from shared.token_bucket import TokenBucket


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_allows_a_burst_and_then_a_number_of_events_a_second() -> None:
    clock = Clock()
    bucket = TokenBucket(2.0, 3, clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.now += 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock.now += 1000
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_each_user_has_one_bucket() -> None:
    clock = Clock()
    buckets = UserBuckets(1.0, 2, clock)
    assert [buckets.take(1) for _ in range(3)] == [True, True, False]
    assert [buckets.take(2) for _ in range(3)] == [True, True, False]
    clock.now += 1
    assert [buckets.take(1) for _ in range(2)] == [True, False]
