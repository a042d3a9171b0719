"""What Prometheus reads of this process, made when it asks."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from api.services import Services

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _ServicesCollector(Collector):
    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        services = self._services
        yield from services.request_counts.families()
        pool = services.database.pool
        yield GaugeMetricFamily("postgres_pool_connections", "Open, or being opened.", pool.size)
        yield GaugeMetricFamily("postgres_pool_waiting", "Callers that wait for a connection.", pool.waiting)
        yield GaugeMetricFamily("redis_connected", "Whether broadcasts reach Redis.", int(services.broker.connected))
        yield GaugeMetricFamily(
            "messages_waiting", "Private messages that wait to be written.", services.message_writer.waiting
        )


class Metrics:
    """The registry of one process's application."""

    def __init__(self, services: Services) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_ServicesCollector(services))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return generate_latest(self._registry)


METRICS = web.AppKey("metrics", Metrics)
