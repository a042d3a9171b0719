"""Tests that buckets by key are kept as long as they count, and that memory stays in bounds."""

from __future__ import annotations

from functools import partial

from shared.buckets import Buckets
from shared.token_bucket import TokenBucket


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_that_has_given_tokens_is_kept_and_the_others_are_forgotten() -> None:
    clock = Clock()
    buckets: Buckets[int, TokenBucket] = Buckets(partial(TokenBucket, 1.0, 2, clock))
    for key in range(10_000):
        if key % 100 == 0:
            buckets.of(key).take()
        else:
            buckets.of(key)
    assert 100 <= len(buckets) <= 300
    assert [buckets.of(0).take() for _ in range(2)] == [True, False]


def test_when_all_count_for_a_while_all_are_kept_for_that_while() -> None:
    clock = Clock()
    buckets: Buckets[int, TokenBucket] = Buckets(partial(TokenBucket, 1.0, 2, clock))
    for key in range(1000):
        assert buckets.of(key).take()
    assert len(buckets) == 1000
    clock.now += 1.0
    for key in range(1000, 1500):
        assert buckets.of(key).take()
    assert len(buckets) == 500
    assert buckets.of(0) is not buckets.of(1)


def test_beyond_the_bound_further_keys_share_one_bucket() -> None:
    clock = Clock()
    buckets: Buckets[int, TokenBucket] = Buckets(partial(TokenBucket, 1.0, 2, clock), 10)
    assert all(buckets.of(key).take() for key in range(10))
    assert [buckets.of(key).take() for key in range(10, 13)] == [True, True, False]
    assert len(buckets) == 10
    assert buckets.of(3).take()
    clock.now += 60.0
    assert buckets.of(20) is not buckets.of(21)
