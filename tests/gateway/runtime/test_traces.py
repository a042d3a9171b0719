"""Pushes and broadcasts of nodes that make traces. tests/end_to_end/test_traces.py has real processes."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import ip_network
from typing import Any

import aiohttp
import pytest
from opentelemetry import trace

from gateway.channel import Channel, Error, HandleResult, JoinResult, Ok
from gateway.protocol.topics import TopicRoutes
from shared.access.addresses import Networks
from shared.pubsub.memory import MemoryHub
from tests.gateway.nodes import Client, start_node
from tests.gateway.transports.longpoll.client import NDJSON, Cluster, LongPollClient
from tests.lab.tokens import token_of
from tests.support.traced import Traced, ids, traced

__all__ = ["traced"]

HERE = (ip_network("127.0.0.0/8"),)
"""The test is a trusted proxy."""


class Room(Channel):
    """Broadcasts `now`, and `later` after it has waited; makes a span of a statement in each."""

    traced: Traced

    async def join(self, topic: str, params: Any) -> JoinResult:
        with self.traced.tracing.statement("may join"):
            await asyncio.sleep(0)
        return Ok() if params != "no" else Error({"reason": "no"})

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
    found = [span for span in traced.spans() if "phx_join" not in span.name and span.name != "postgres may join"]
    assert [(span.name, dict(span.attributes or {})) for span in found] == [
        ("Room other", {"daveslist.channel": "Room", "daveslist.event": "other", "error.type": "UnknownEvent"})
    ]


@pytest.mark.parametrize("node", [0, 1], ids=["on its own node", "through another node"])
async def test_a_push_by_long_polling_is_in_the_trace_that_its_request_names(traced: Traced, node: int) -> None:
    cluster = Cluster()
    async with aiohttp.ClientSession() as http:
        client = LongPollClient(http, await cluster.start(2, trusted_proxies=HERE))
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


@pytest.mark.parametrize(("params", "status"), [({}, "ok"), ("no", "error")])
async def test_a_join_has_a_span_with_its_result_and_what_it_asks_is_below_it(
    traced: Traced, params: Any, status: str
) -> None:
    Room.traced = traced
    node = await start_node({"room:*": Room})
    client = Client(node)
    client.says("j1", "j1", "room:1", "phx_join", params)
    await client.until("phx_reply")
    await node.stop()
    asked, join = traced.spans()
    assert (asked.name, join.name) == ("postgres may join", "Room phx_join")
    assert dict(join.attributes or {}) == {
        "daveslist.channel": "Room",
        "daveslist.event": "phx_join",
        "daveslist.status": status,
    }
    assert ids(asked)[2] == ids(join)[1]
    assert ids(join)[2] is None


@pytest.mark.parametrize(
    ("header", "trusted"),
    [
        (f"00-{'a' * 32}-{'b' * 16}-01", HERE),
        (f"00-{'a' * 32}-{'b' * 16}-01", ()),
        ("", HERE),
        ("00-nonsense", HERE),
        (f"00-{'0' * 32}-{'b' * 16}-01", HERE),
    ],
)
async def test_what_a_socket_does_is_in_the_trace_that_its_handshake_names_through_a_trusted_proxy(
    traced: Traced, header: str, trusted: Networks
) -> None:
    cluster = Cluster()
    [node] = await cluster.start(1, trusted_proxies=trusted)
    named = {"traceparent": header} if header else {}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{node.socket_url}?vsn=2.0.0&token={token_of(1)}", headers=named) as socket,
    ):
        for frame in (["1", "1", "lab:ok", "phx_join", {}], ["1", "2", "lab:ok", "echo", {}]):
            await socket.send_json(frame)
            await socket.receive_json()
        # A socket that is refused has a span as well.
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(node.socket_url, headers=named)
    await cluster.stop()
    spans = traced.spans()
    names = ["GET /socket/websocket", "LabChannel phx_join", "LabChannel echo", "GET /socket/websocket"]
    assert [span.name for span in spans] == names
    if trusted and header.startswith("00-aaa"):
        assert {(ids(span)[0], ids(span)[2]) for span in spans} == {(int("a" * 32, 16), int("b" * 16, 16))}
    else:
        assert [ids(span)[2] for span in spans] == [None] * 4
        assert len({ids(span)[0] for span in spans}) == 4


@pytest.mark.parametrize("node", [0, 1], ids=["on its own node", "through another node"])
async def test_a_poll_has_a_span_in_the_trace_that_its_request_names(traced: Traced, node: int) -> None:
    cluster = Cluster()
    async with aiohttp.ClientSession() as http:
        client = LongPollClient(http, await cluster.start(2, trusted_proxies=HERE))
        await client.open(node=0)
        await client.join("lab:ok")
        assert await client.post(["1", "2", "lab:ok", "echo", {}]) == 200
        headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
        assert (await client.request("GET", {"token": client.token}, node=node, headers=headers))["status"] == 200
        await cluster.stop()
    spans = {span.name: ids(span) for span in traced.spans() if ids(span)[0] == int("a" * 32, 16)}
    way = ["GET /socket/longpoll", *(["call longpoll poll"] if node else [])]
    assert sorted(spans) == sorted(way)
    assert [spans[name][2] for name in way] == [int("b" * 16, 16), *(spans[name][1] for name in way[:-1])]


@pytest.mark.parametrize("way", ["long polling", "long polling through another node", "WebSocket"])
async def test_nothing_below_a_request_that_is_not_sampled_is_traced(traced: Traced, way: str) -> None:
    Room.traced = traced
    cluster, unsampled = Cluster(), {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"}
    here, there = await cluster.start(2, trusted_proxies=HERE)
    for each in (here, there):
        each.endpoint.routes = TopicRoutes([("room:*", Room)])
    async with aiohttp.ClientSession() as http:
        listener = LongPollClient(http, [there])
        await listener.open()
        assert await listener.post(["1", "1", "room:1", "phx_join", {}], headers={**NDJSON, **unsampled}) == 200
        frames: list[Any] = [["1", event, "room:1", event, {}] for event in ("phx_join", "now", "later", "unknown")]
        if way == "WebSocket":
            url = f"{here.socket_url}?vsn=2.0.0&token={token_of(1)}"
            async with http.ws_connect(url, headers=unsampled) as socket:
                for frame in frames:
                    await socket.send_json(frame)
                    await socket.receive_json()
        else:
            client = LongPollClient(http, [there if "another" in way else here])
            await client.open(node=0)
            for frame in frames:
                assert await client.post(frame, headers={**NDJSON, **unsampled}) == 200
            await client.gets(6)
        assert {frame[3] for frame in await listener.gets(3)} == {"phx_reply", "now", "later"}
        await cluster.stop()
    # The polls have no header, so each begins a trace.
    assert {span.name for span in traced.spans()} <= {"GET /socket/longpoll", "call longpoll poll"}


@pytest.mark.parametrize("node", [0, 1], ids=["on its own node", "through another node"])
async def test_what_has_to_wait_for_a_busy_channel_is_in_the_trace_of_its_request(traced: Traced, node: int) -> None:
    Room.traced = traced
    cluster = Cluster()
    nodes = await cluster.start(2, trusted_proxies=HERE)
    nodes[0].endpoint.routes = TopicRoutes([("room:*", Room)])
    frames: list[Any] = [["1", event, "room:1", event, {}] for event in ("phx_join", "later", "now")]
    async with aiohttp.ClientSession() as http:
        client = LongPollClient(http, nodes)
        await client.open(node=0)
        # The first request is not sampled, and the second one joins again.
        for trace_id, flags in (("a", "00"), ("c", "01")):
            headers = {**NDJSON, "traceparent": f"00-{trace_id * 32}-{'b' * 16}-{flags}"}
            assert await client.post(*frames, headers=headers, node=node) == 200
            await client.gets(5)
        await cluster.stop()
    spans = [span for span in traced.spans() if span.name not in ("GET /socket/longpoll", "call longpoll poll")]
    assert {ids(span)[0] for span in spans} == {int("c" * 32, 16)}
    found = {span.name: ids(span) for span in spans}
    above = "call longpoll post" if node else "POST /socket/longpoll"
    for name in ("Room phx_join", "Room later", "Room now"):
        assert found[name][2] == found[above][1]
