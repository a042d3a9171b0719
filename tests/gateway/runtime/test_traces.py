"""Pushes and broadcasts of nodes that make traces. tests/end_to_end/test_traces.py has real processes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiohttp
import pytest
from opentelemetry import trace

from gateway.channel import Channel, HandleResult, JoinResult, Ok
from shared.pubsub.memory import MemoryHub
from tests.gateway.nodes import Client, start_node
from tests.gateway.transports.longpoll.client import NDJSON, Cluster, LongPollClient
from tests.support.traced import Traced, ids, traced

__all__ = ["traced"]


class Room(Channel):
    """Broadcasts `now`, and `later` after it has waited; makes a span of a statement in each."""

    traced: Traced

    async def join(self, topic: str, params: Any) -> JoinResult:
        return Ok()

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        if event not in ("now", "later"):
            return await super().handle_in(event, payload)
        with self.traced.tracing.statement(event):
            if event == "later":
                await asyncio.sleep(0.001)
        self.broadcast(event, payload)
        return Ok()


@pytest.mark.parametrize("event", ["now", "later"])
async def test_the_spans_of_a_push_are_below_it_whether_its_handler_waits_or_not(
    traced: Traced, caplog: pytest.LogCaptureFixture, event: str
) -> None:
    Room.traced, hub = traced, MemoryHub()
    here, there = [await start_node({"room:*": Room}, hub) for _ in range(2)]
    ann, bob = Client(here), Client(there)
    for client in (ann, bob):
        await client.joins("room:1")
    for number in range(2):
        ann.says("j1", number, "room:1", event, number)
        await bob.until(event)
        await ann.until("phx_reply")
        assert not trace.get_current_span().is_recording(), "the caller's current span is its own"
    for node in (here, there):
        await node.stop()
    spans = traced.spans()
    pushes = [ids(span) for span in spans if span.name == f"Room {event}"]
    assert len({trace_id for trace_id, _, _ in pushes}) == 2
    assert [parent for _, _, parent in pushes] == [None, None]
    for trace_id, push, _ in pushes:
        below = {span.name: ids(span) for span in spans if ids(span)[0] == trace_id}
        assert set(below) == {f"Room {event}", f"postgres {event}", f"publish {event}", f"deliver {event}"}
        assert below[f"postgres {event}"][2] == below[f"publish {event}"][2] == push
        assert below[f"deliver {event}"][2] == below[f"publish {event}"][1]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("event", ["what I think", "\u202e", ["list"], "e" * 1000])
async def test_the_name_of_an_event_that_a_client_invented_is_in_no_span(traced: Traced, event: Any) -> None:
    Room.traced = traced
    node = await start_node({"room:*": Room})
    client = Client(node)
    await client.joins("room:1")
    client.says("j1", 1, "room:1", event)
    await client.until("phx_error")
    await node.stop()
    assert [(span.name, dict(span.attributes or {})) for span in traced.spans()] == [
        ("Room other", {"daveslist.channel": "Room", "daveslist.event": "other", "error.type": "UnknownEvent"})
    ]


@pytest.mark.parametrize("node", [0, 1], ids=["on its own node", "through another node"])
async def test_a_push_by_long_polling_is_in_the_trace_that_its_request_names(traced: Traced, node: int) -> None:
    cluster = Cluster()
    async with aiohttp.ClientSession() as http:
        client = LongPollClient(http, await cluster.start(2))
        await client.open(node=0)
        await client.join("lab:ok")
        headers = {**NDJSON, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
        assert await client.post(["1", "2", "lab:ok", "echo", {}], headers=headers, node=node) == 200
        await client.gets(1)
        await cluster.stop()
    spans = [span for span in traced.spans() if ids(span)[0] == int("a" * 32, 16)]
    call = [next(span.name for span in spans if span.name.startswith("call "))] if node else []
    way = ["POST /socket/longpoll", *call, "LabChannel echo"]
    found = {span.name: ids(span) for span in spans}
    assert sorted(found) == sorted(way)
    assert [found[name][2] for name in way] == [int("b" * 16, 16), *(found[name][1] for name in way[:-1])]
