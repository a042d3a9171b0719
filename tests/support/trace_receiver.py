"""Receives traces as an OpenTelemetry collector does (OTLP over HTTP, protobuf), and keeps them for a test."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Received:
    """One span."""

    name: str
    trace_id: str
    id: str
    parent_id: str
    """Empty for the first span of a trace."""
    service: str
    node: str
    attributes: dict[str, Any]
    links: tuple[str, ...]
    """The ids of spans that it has links to."""


class TraceReceiver:
    """`bytes` is all that has arrived, decompressed; `spans` is what it means; `status` is the answer."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.bytes = b""
        self.url = ""
        self.status = 200
        self._changed = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.bytes += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = _attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Received(
                            span.name,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            about["service.name"],
                            about["service.instance.id"],
                            _attributes(span.attributes),
                            tuple(link.span_id.hex() for link in span.links),
                        )
                    )
        self._changed.set()
        return web.Response(status=self.status, content_type="application/x-protobuf")

    async def until(self, wanted: Callable[[list[Received]], bool]) -> list[Received]:
        """Wait until the spans that have arrived are wanted, and return them."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not wanted(self.spans):
                self._changed.clear()
                await self._changed.wait()
        return self.spans


def _attributes(given: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in given}


@asynccontextmanager
async def trace_receiver() -> AsyncIterator[TraceReceiver]:
    """A receiver on a free port."""
    receiver = TraceReceiver()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/traces", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield receiver
    finally:
        await runner.cleanup()
