"""The metrics of a process for Prometheus. The API and the gateway use the same names for the same things.

Prometheus tells processes apart by `job` and `instance`, which it adds itself. `daveslist_process_info` says the kind
of the process, its version, and its id, which logs also have.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

import prometheus_client
from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from shared.faults import FAULTS
from shared.postgres import Database
from shared.pubsub.broker import Broker
from shared.repositories.message_writer import MessageWriter
from shared.version import VERSION
from shared.workers.pages import Pages
from shared.workers.worker import Worker

# Without this, each counter has a second series with its creation time.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The registry of one process, and the handler of `/metrics`."""

    def __init__(
        self,
        process: str,
        node_id: str,
        database: Database,
        broker: Broker,
        message_writer: MessageWriter,
        *others: Collector,
    ) -> None:
        """`process` is `api` or `gateway`; `others` are the metrics that only this kind of process has."""
        self._node_id = node_id
        self._pages: Pages | None = None
        self._registry = CollectorRegistry()
        self._registry.register(_Common(process, node_id, database, broker, message_writer))
        self._registry.register(FAULTS)
        for collector in others:
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    @asynccontextmanager
    async def shown_by_all(self, worker: Worker | None) -> AsyncIterator[None]:
        """While this lasts, any of the workers shows the metrics of all. Nothing changes if there is only one."""
        if worker is None:
            yield
            return
        self._pages = Pages(worker, self._node_id, self._registry.collect)
        await self._pages.start()
        try:
            yield
        finally:
            await self._pages.stop()

    async def handle(self, _: web.Request) -> web.Response:
        text = self.text() if self._pages is None else generate_latest(_Collected(await self._pages.collect()))
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def text(self) -> bytes:
        """Returns the metrics in Prometheus's text format."""
        return generate_latest(self._registry)


class _Collected(Collector):
    """Metrics that have been read already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class _Common(Collector):
    def __init__(
        self, process: str, node_id: str, database: Database, broker: Broker, message_writer: MessageWriter
    ) -> None:
        self._labels = {"process": process, "node": node_id, "version": VERSION}
        self._database = database
        self._broker = broker
        self._message_writer = message_writer

    def collect(self) -> Iterator[Metric]:
        pool, broker, writer = self._database.pool, self._broker, self._message_writer
        server = broker.server
        yield InfoMetricFamily("daveslist_process", "Which process this is", value=self._labels)
        yield gauge(f"daveslist_{server}_up", f"Whether the link to {server.title()} is up", broker.connected)
        yield gauge(
            "daveslist_unpublished_messages",
            "Messages to other nodes that wait to be published",
            broker.unpublished,
        )
        yield gauge("daveslist_postgres_connections", "Connections to Postgres, open or being opened", pool.size)
        yield gauge("daveslist_postgres_waiting", "Statements that wait for a connection", pool.waiting)
        yield gauge("daveslist_unwritten_messages", "Private messages that wait to be stored", writer.waiting)
        yield CounterMetricFamily("daveslist_stored_messages", "Private messages stored here", value=writer.stored)


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """Returns a gauge with its current value; booleans become 0 and 1."""
    return GaugeMetricFamily(name, text, value=float(value))
