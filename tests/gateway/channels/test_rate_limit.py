"""How often a user may do something, by a clock of the test's own."""

from __future__ import annotations

from gateway.channels.rate_limit import TokenBucket, UserBuckets


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_may_come_at_once_and_then_so_many_a_second() -> None:
    clock = Clock()
    bucket = TokenBucket(2.0, 3, clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.now += 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock.now += 1000
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_each_user_has_a_bucket_and_finds_it_again() -> None:
    clock = Clock()
    buckets = UserBuckets(1.0, 2, clock)
    assert [buckets.take(1) for _ in range(3)] == [True, True, False]
    assert [buckets.take(2) for _ in range(3)] == [True, True, False]
    clock.now += 1
    assert [buckets.take(1) for _ in range(2)] == [True, False]


def test_buckets_that_are_full_again_are_forgotten_and_no_others() -> None:
    clock = Clock()
    buckets = UserBuckets(1.0, 2, clock)
    for user_id in range(1000):
        buckets.take(user_id)
    clock.now += 0.5
    assert [buckets.take(5) for _ in range(2)] == [True, False]
    clock.now += 0.6
    buckets.take(1000)
    # All had a token taken and given back since, but for the one that took two.
    assert len(buckets) == 2
    assert [buckets.take(5) for _ in range(2)] == [True, False]
