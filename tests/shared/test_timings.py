"""How long things took is told as a histogram, of a bounded number of series."""

from __future__ import annotations

import pytest

from shared.timings import BUCKETS, MOST_SERIES, Timings


def samples(timings: Timings) -> dict[tuple[str, ...], float]:
    """By the end of their names and the values of their labels."""
    return {
        (sample.name.removeprefix("things_seconds_"), *sample.labels.values()): sample.value
        for family in timings.collect()
        for sample in family.samples
    }


def test_a_time_is_in_its_bucket_and_in_all_above() -> None:
    timings = Timings("things_seconds", "Of things", ("kind",))
    for seconds in (0.0005, 0.001, 0.3, 11.0):
        timings.observe(("a",), seconds)
    seen = samples(timings)
    below = {0.001: 2, 0.5: 3, 1.0: 3, 2.5: 3, 5.0: 3, 10.0: 3}
    for bound in BUCKETS:
        assert seen["bucket", "a", repr(bound)] == below.get(bound, 2)
    assert seen["bucket", "a", "+Inf"] == seen["count", "a"] == 4
    assert seen["sum", "a"] == pytest.approx(11.3015)


def test_labels_are_told_apart() -> None:
    timings = Timings("things_seconds", "Of things", ("kind", "result"))
    timings.observe(("a", "ok"), 1.0)
    timings.observe(("a", "error"), 1.0)
    timings.observe(("a", "ok"), 1.0)
    seen = samples(timings)
    assert (seen["count", "a", "ok"], seen["count", "a", "error"]) == (2, 1)


def test_names_without_end_are_one_series() -> None:
    timings = Timings("things_seconds", "Of things", ("kind", "event"))
    for number in range(MOST_SERIES + 10):
        timings.observe(("a", f"event {number}"), 1.0)
    timings.observe(("a", "event 0"), 1.0)
    counts = {key[1:]: value for key, value in samples(timings).items() if key[0] == "count"}
    assert len(counts) == MOST_SERIES + 1
    assert counts["other", "other"] == 10
    assert counts["a", "event 0"] == 2
