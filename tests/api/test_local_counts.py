"""Counting in one process: the same sliding window as in Redis, and bounded memory."""

from __future__ import annotations

import pytest

from api import local_counts
from api.local_counts import LocalCounts, Quota

START = 60.0 * 1000


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def test_the_window_slides_and_the_returned_wait_is_enough() -> None:
    clock = Clock()
    counts, ten = LocalCounts(clock), [Quota("key", 10)]
    clock.now = START + 54
    assert [counts.take(ten) for _ in range(10)] == [0] * 10
    wait = counts.take(ten)
    assert wait > 6000
    clock.now = START + 60
    assert counts.take(ten) > 0
    clock.now = START + 54 + wait / 1000 - 0.1
    assert counts.take(ten) > 0
    clock.now = START + 54 + wait / 1000
    assert counts.take(ten) == 0
    clock.now = START + 240
    assert [counts.take(ten) for _ in range(10)] == [0] * 10


def test_a_refused_request_is_counted_under_none_of_its_keys() -> None:
    counts = LocalCounts(Clock())
    narrow, wide = Quota("narrow", 1), Quota("wide", 2)
    assert counts.take([narrow, wide]) == 0
    assert [counts.take([narrow, wide]) > 0 for _ in range(5)] == [True] * 5
    assert counts.take([wide]) == 0
    assert counts.take([wide]) > 0


def test_a_count_can_be_given_back() -> None:
    counts, one = LocalCounts(Clock()), [Quota("key", 1)]
    assert counts.take(one) == 0
    counts.give_back(one)
    counts.give_back(one)
    assert counts.take(one) == 0
    assert counts.take(one) > 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_counts, "MOST_SUBJECTS", 100)
    counts = LocalCounts(Clock())
    for number in range(1000):
        counts.take([Quota(f"key {number}", 5)])
    assert len(counts._current) == 100
