"""Durations are counted in a histogram with a limited number of time series."""

from __future__ import annotations

import pytest

from shared.timings import BUCKETS, MOST_SERIES, Timings


def samples(timings: Timings) -> dict[tuple[str, ...], float]:
    """The value of each sample, by the end of its name and the values of its labels."""
    return {
        (sample.name.removeprefix("things_seconds_"), *sample.labels.values()): sample.value
        for family in timings.collect()
        for sample in family.samples
    }


def test_a_duration_counts_in_its_bucket_and_in_all_larger_ones() -> None:
    timings = Timings("things_seconds", "Of things", ("kind",))
    for seconds in (0.0005, 0.001, 0.3, 11.0):
        timings.observe(("a",), seconds)
    seen = samples(timings)
    below = {0.001: 2, 0.5: 3, 1.0: 3, 2.5: 3, 5.0: 3, 10.0: 3}
    for bound in BUCKETS:
        assert seen["bucket", "a", repr(bound)] == below.get(bound, 2)
    assert seen["bucket", "a", "+Inf"] == seen["count", "a"] == 4
    assert seen["sum", "a"] == pytest.approx(11.3015)


def test_each_combination_of_labels_is_counted_separately() -> None:
    timings = Timings("things_seconds", "Of things", ("kind", "result"))
    timings.observe(("a", "ok"), 1.0)
    timings.observe(("a", "error"), 1.0)
    timings.observe(("a", "ok"), 1.0)
    seen = samples(timings)
    assert (seen["count", "a", "ok"], seen["count", "a", "error"]) == (2, 1)


def test_labels_beyond_the_limit_share_one_series() -> None:
    timings = Timings("things_seconds", "Of things", ("kind", "event"))
    for number in range(MOST_SERIES + 10):
        timings.observe(("a", f"event {number}"), 1.0)
    timings.observe(("a", "event 0"), 1.0)
    counts = {key[1:]: value for key, value in samples(timings).items() if key[0] == "count"}
    assert len(counts) == MOST_SERIES + 1
    assert counts["other", "other"] == 10
    assert counts["a", "event 0"] == 2
