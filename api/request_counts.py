"""Counts requests for metrics. A request costs two dictionary look-ups; the rest is done when Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.timings import Timings

UNMATCHED = "unmatched"
"""The label of all requests without a route: each path of its own would make endless series."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestCounts(Collector):
    """Requests by method, route template and status, and their duration by method and route."""

    def __init__(self) -> None:
        self._statuses: dict[tuple[str, str, int], int] = {}
        self._times = Timings(
            "http_request_duration_seconds", "From the request's head to its answer.", ("method", "route")
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is its template, or UNMATCHED."""
        key = (method, route, status)
        self._statuses[key] = self._statuses.get(key, 0) + 1
        self._times.observe((method, route), seconds)

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("http_requests", "Requests answered.", labels=["method", "route", "status"])
        for (method, route, status), count in list(self._statuses.items()):
            requests.add_metric([method, route, str(status)], count)
        yield requests
        yield from self._times.collect()


def method_label(method: str) -> str:
    """Returns the method as a label; `other` for unknown methods, so that clients cannot make new series."""
    return method if method in _METHODS else "other"
