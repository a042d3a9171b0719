"""Counts requests, for metrics: two dictionary look-ups for each; the rest is done when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds; one more, without bound, follows."""

UNMATCHED = "unmatched"
"""The route of what has none: paths that anyone thinks of must not become series."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestCounts:
    """Requests by method, route template and status, and how long those of a method and route took."""

    __slots__ = ("_statuses", "_times")

    def __init__(self) -> None:
        self._statuses: dict[tuple[str, str, int], int] = {}
        self._times: dict[tuple[str, str], list[float]] = {}
        """Counts by bucket, then the sum of seconds."""

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        key = (method, route, status)
        self._statuses[key] = self._statuses.get(key, 0) + 1
        times = self._times.get((method, route))
        if times is None:
            times = self._times[method, route] = [0.0] * (len(BUCKETS) + 2)
        times[bisect_left(BUCKETS, seconds)] += 1
        times[-1] += seconds

    def families(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        requests = CounterMetricFamily("http_requests", "Requests answered.", labels=["method", "route", "status"])
        for (method, route, status), count in list(self._statuses.items()):
            requests.add_metric([method, route, str(status)], count)
        yield requests
        seconds = HistogramMetricFamily(
            "http_request_duration_seconds", "From the request's head to its answer.", labels=["method", "route"]
        )
        for (method, route), times in list(self._times.items()):
            total, buckets = 0.0, []
            for bound, within in zip((*BUCKETS, None), times[:-1], strict=True):
                total += within
                buckets.append(("+Inf" if bound is None else repr(bound), total))
            seconds.add_metric([method, route], buckets, times[-1])
        yield seconds


def method_label(method: str) -> str:
    return method if method in _METHODS else "other"
