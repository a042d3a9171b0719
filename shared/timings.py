"""A histogram of durations for Prometheus that costs little per observation."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds; a last bucket without a bound follows."""
MOST_SERIES = 500
"""The most combinations of labels that get a series of their own."""
OTHER = "other"
"""The labels of all further combinations: names from clients must not make endless series."""


class Timings(Collector):
    """One histogram. An observation is a look-up and a bisection; prometheus_client's takes a lock for each bucket."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._others = (OTHER,) * len(labels)
        self._times: dict[tuple[str, ...], list[float]] = {}
        """Labels -> the count in each bucket, then the sum of seconds."""

    def observe(self, labels: tuple[str, ...], seconds: float) -> None:
        """Count a duration. `labels` are values in the order of the names."""
        times = self._times.get(labels)
        if times is None:
            if len(self._times) >= MOST_SERIES:
                labels = self._others
            times = self._times.setdefault(labels, [0.0] * (len(BUCKETS) + 2))
        times[bisect_left(BUCKETS, seconds)] += 1
        times[-1] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for labels, times in list(self._times.items()):
            total, buckets = 0.0, []
            for bound, within in zip((*BUCKETS, None), times[:-1], strict=True):
                total += within
                buckets.append(("+Inf" if bound is None else repr(bound), total))
            family.add_metric(labels, buckets, times[-1])
        yield family
