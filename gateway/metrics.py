"""The metrics that only a gateway has, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.catch_up import CatchUp
from gateway.runtime.endpoint import Endpoint
from shared.metrics import Metrics, gauge
from shared.postgres import Database
from shared.repositories.message_writer import MessageWriter

FAN_OUT_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0)

_COUNTS = {
    "frames_in": "Frames received from clients",
    "frames_out": "Frames sent to clients",
    "broadcasts": "Broadcasts made on this node",
    "received": "Broadcasts of other nodes received here",
}


def gateway_metrics(endpoint: Endpoint, database: Database, writer: MessageWriter, catch_up: CatchUp) -> Metrics:
    """Returns all metrics of a gateway."""
    fan_out = Histogram(
        "gateway_fan_out_seconds",
        "From publishing to receiving, over the broker, by a probe each second",
        buckets=FAN_OUT_BUCKETS,
        registry=None,
    )
    endpoint.on_probe(fan_out.observe)
    node = _Node(endpoint, catch_up)
    return Metrics(
        "gateway",
        endpoint.node_id,
        database,
        endpoint.broker,
        writer,
        fan_out,
        node,
        endpoint.security_events,
        *endpoint.counts.collectors,
    )


class _Node(Collector):
    """Reads the counts of other objects when Prometheus asks."""

    def __init__(self, endpoint: Endpoint, catch_up: CatchUp) -> None:
        self._endpoint = endpoint
        self._catch_up = catch_up

    def collect(self) -> Iterator[Metric]:
        endpoint = self._endpoint
        for name, text in _COUNTS.items():
            yield CounterMetricFamily(f"gateway_{name}", text, value=getattr(endpoint.counts, name))
        yield CounterMetricFamily("gateway_catch_ups", "Gaps closed from Postgres", value=self._catch_up.runs)
        yield gauge("gateway_connections", "Connected clients", len(endpoint.connections))
        longpolls = endpoint.counts.longpolls
        yield gauge("gateway_longpoll_connections", "Those of them that use long polling", longpolls)
        yield gauge("gateway_users", "Users with a connection", endpoint.connections.users)
        yield gauge("gateway_topics", "Topics with a member here", len(endpoint.topics))
        yield gauge("gateway_channels", "Joined channels", endpoint.channels)
        yield gauge("gateway_backlog", "Messages that wait for a busy channel", endpoint.connections.backlog)
        yield gauge("gateway_draining", "Whether this node is on its way out", endpoint.is_draining)
