"""What operators see of a gateway, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.catch_up import CatchUp
from gateway.protocol.close_codes import CLOSES
from gateway.runtime.endpoint import Endpoint
from shared.postgres import Database
from shared.repositories.message_writer import MessageWriter

FAN_OUT_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0)

_COUNTS = {
    "frames_in": "Frames received from clients",
    "frames_out": "Frames sent to clients",
    "broadcasts": "Broadcasts made on this node",
    "received": "Broadcasts of other nodes received here",
    "disconnects": "Connections that have ended",
    "refused": "Connects refused",
    "channel_crashes": "Callbacks of channels that raised",
}


class GatewayMetrics:
    """The registry of one node and the handler of `/metrics`. Reads what others count; counts nothing itself."""

    def __init__(self, endpoint: Endpoint, database: Database, writer: MessageWriter, catch_up: CatchUp) -> None:
        self._endpoint = endpoint
        self._database = database
        self._writer = writer
        self._catch_up = catch_up
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        fan_out = Histogram(
            "gateway_fan_out_seconds",
            "From publishing to receiving, over Redis, by a probe each second",
            buckets=FAN_OUT_BUCKETS,
            registry=self._registry,
        )
        endpoint.on_probe(fan_out.observe)
        self._registry.register(self)

    async def handle(self, _: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(self._registry), headers=headers)

    def collect(self) -> Iterator[Metric]:
        endpoint, broker, pool = self._endpoint, self._endpoint.broker, self._database.pool
        for name, text in _COUNTS.items():
            yield CounterMetricFamily(f"gateway_{name}", text, value=getattr(endpoint.counts, name))
        closes = CounterMetricFamily("gateway_closes", "Connections closed by this node, by why", labels=["reason"])
        for close in CLOSES:
            closes.add_metric([close.reason], endpoint.counts.closes[close])
        yield closes
        yield CounterMetricFamily("gateway_catch_ups", "Gaps closed from Postgres", value=self._catch_up.runs)
        yield _gauge("connections", "Connected clients", len(endpoint.connections))
        yield _gauge("users", "Users with a connection", endpoint.connections.users)
        yield _gauge("topics", "Topics with a member here", len(endpoint.topics))
        yield _gauge("channels", "Joined channels", endpoint.channels)
        yield _gauge("backlog", "Messages that wait for a busy channel", endpoint.connections.backlog)
        yield _gauge("unwritten_messages", "Private messages that wait to be stored", self._writer.waiting)
        yield _gauge("unpublished", "Broadcasts that wait for Redis", broker.unpublished)
        yield _gauge("redis_up", "Whether the link to Redis is up", broker.connected)
        yield _gauge("postgres_connections", "Connections to Postgres that are open", pool.size)
        yield _gauge("postgres_waiting", "Statements that wait for a connection", pool.waiting)
        yield _gauge("draining", "Whether this node is on its way out", endpoint.is_draining)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"gateway_{name}", text, value=float(value))
