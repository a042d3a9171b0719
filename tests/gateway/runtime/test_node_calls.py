"""Nodes that ask each other: answers, deadlines, dead nodes, and what a stopped node leaves behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from gateway.runtime.node_calls import CallFailed, NodeCalls, NodeUnreachable
from shared.pubsub.memory import MemoryBroker, MemoryHub
from shared.settings import Settings
from tests.gateway.nodes import SOON, start_node

PATIENCE = 0.2


class Node:
    """A node that answers `echo`, `later` when it is told to, and `fail` never well."""

    def __init__(self, calls: NodeCalls, node_id: str) -> None:
        self.calls = calls
        self.id = node_id
        self.go = asyncio.Event()
        self.log: list[bytes] = []
        calls.serve("echo", self._echo)
        calls.serve("later", self._later)
        calls.serve("fail", self._fail)
        calls.serve_cast("note", self.log.append)

    async def _echo(self, argument: bytes) -> bytes:
        self.log.append(argument)
        return argument

    async def _later(self, argument: bytes) -> bytes:
        self.log.append(argument)
        await self.go.wait()
        return argument

    async def _fail(self, argument: bytes) -> bytes:
        raise RuntimeError(argument)


@pytest.fixture
async def nodes() -> AsyncIterator[tuple[Node, Node]]:
    hub = MemoryHub()
    settings = Settings(node_call_seconds=PATIENCE)
    endpoints = [await start_node({}, hub, settings) for _ in range(2)]
    started = [Node(NodeCalls(endpoint), endpoint.node_id) for endpoint in endpoints]
    for node in started:
        await node.calls.start()
    try:
        yield started[0], started[1]
    finally:
        for node, endpoint in zip(started, endpoints, strict=True):
            await node.calls.stop()
            await endpoint.stop()


async def test_a_call_returns_what_the_other_node_answers(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    assert await one.calls.call(two.id, "echo", b"\x00\xff", SOON) == b"\x00\xff"
    assert await two.calls.call(one.id, "echo", b"", SOON) == b""


async def test_answers_reach_their_own_calls(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    arguments = [b"%d" % number for number in range(100)]
    answers = await asyncio.gather(*(one.calls.call(two.id, "echo", argument, SOON) for argument in arguments))
    assert answers == arguments


async def test_calls_and_casts_begin_in_the_order_in_which_they_were_made(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    call = asyncio.create_task(one.calls.call(two.id, "later", b"1", SOON))
    await asyncio.sleep(0)
    one.calls.cast(two.id, "note", b"2")
    assert two.log == [b"1", b"2"]
    two.go.set()
    assert await call == b"1"


async def test_an_answer_that_takes_longer_than_the_patience_is_waited_for(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    call = asyncio.create_task(one.calls.call(two.id, "later", b"1", SOON))
    await asyncio.sleep(PATIENCE * 4)
    assert not call.done(), "the other node answers pings"
    two.go.set()
    assert await call == b"1"


async def test_a_living_node_that_does_not_answer_in_time_is_a_timeout(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    with pytest.raises(TimeoutError):
        await one.calls.call(two.id, "later", b"", 0.05)
    two.go.set()
    assert await one.calls.call(two.id, "echo", b"1", SOON) == b"1", "the late answer disturbs nothing"


async def test_a_node_that_nobody_is_is_unreachable(nodes: tuple[Node, Node]) -> None:
    before = time.monotonic()
    with pytest.raises(NodeUnreachable):
        await nodes[0].calls.call("nobody", "echo", b"", SOON)
    assert PATIENCE <= time.monotonic() - before < SOON / 2


async def test_a_node_that_dies_fails_all_that_it_was_asked(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    calls = [asyncio.create_task(one.calls.call(two.id, "later", b"", SOON)) for _ in range(3)]
    await asyncio.sleep(PATIENCE / 2)
    await two.calls._endpoint.broker.stop()
    results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), SOON / 2)
    assert [type(result) for result in results] == [NodeUnreachable] * 3


async def test_a_node_that_is_cut_off_itself_takes_nobody_for_dead(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = nodes
    monkeypatch.setattr(MemoryBroker, "connected", False)
    broker = two.calls._endpoint.broker
    await broker.stop()
    call = asyncio.create_task(one.calls.call(two.id, "later", b"1", SOON))
    await asyncio.sleep(PATIENCE * 3)
    assert not call.done()
    monkeypatch.setattr(MemoryBroker, "connected", True)
    with pytest.raises(NodeUnreachable):
        await call


async def test_a_method_that_raises_or_is_unknown_is_a_failed_call(
    nodes: tuple[Node, Node], caplog: pytest.LogCaptureFixture
) -> None:
    one, two = nodes
    for method in ("fail", "no such method"):
        with pytest.raises(CallFailed):
            await one.calls.call(two.id, method, b"", SOON)
    assert [record.message for record in caplog.records] == ["call between nodes failed"]
    one.calls.cast(two.id, "no such notice", b"")
    assert await one.calls.call(two.id, "echo", b"1", SOON) == b"1"


async def test_what_no_node_wrote_is_left(nodes: tuple[Node, Node], caplog: pytest.LogCaptureFixture) -> None:
    one, two = nodes
    for event in ("call", "cast", "answer"):
        one.calls._send(two.id, event, b"\xc1")
    one.calls._send(two.id, "unknown", b"")
    assert [record.message for record in caplog.records] == ["bad call between nodes"] * 3
    assert await one.calls.call(two.id, "echo", b"1", SOON) == b"1"


async def test_a_node_that_stops_leaves_no_call_waiting(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    call = asyncio.create_task(one.calls.call(two.id, "later", b"", SOON))
    await asyncio.sleep(0)
    await one.calls.stop()
    with pytest.raises(NodeUnreachable):
        await call
    await one.calls.start()
