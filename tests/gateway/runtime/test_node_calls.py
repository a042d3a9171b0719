"""Tests calls between nodes: answers, deadlines, dead nodes, and stopping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.runtime.node_calls import CallFailed, NodeCalls, NodeUnreachable
from shared.pubsub.memory import MemoryBroker, MemoryHub
from shared.settings import Settings
from tests.gateway.nodes import start_node
from tests.support.virtual_time import in_virtual_time

LONG = 1000.0

PATIENCE = 3.0
"""Seconds of virtual time, as everywhere in this file."""


class Node:
    """A node that answers `echo` at once and `later` when `go` is set; `fail` raises."""

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


@asynccontextmanager
async def two_nodes() -> AsyncIterator[tuple[Node, Node]]:
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


@in_virtual_time
async def test_a_call_returns_what_the_other_node_answers() -> None:
    async with two_nodes() as (one, two):
        assert await one.calls.call(two.id, "echo", b"\x00\xff", LONG) == b"\x00\xff"
        assert await two.calls.call(one.id, "echo", b"", LONG) == b""


@in_virtual_time
async def test_answers_reach_their_own_calls() -> None:
    async with two_nodes() as (one, two):
        arguments = [b"%d" % number for number in range(100)]
        answers = await asyncio.gather(*(one.calls.call(two.id, "echo", argument, LONG) for argument in arguments))
        assert answers == arguments


@in_virtual_time
async def test_calls_and_casts_begin_in_order() -> None:
    async with two_nodes() as (one, two):
        call = asyncio.create_task(one.calls.call(two.id, "later", b"1", LONG))
        await asyncio.sleep(0)
        one.calls.cast(two.id, "note", b"2")
        assert two.log == [b"1", b"2"]
        two.go.set()
        assert await call == b"1"


@in_virtual_time
async def test_a_call_waits_for_a_slow_answer_of_a_living_node() -> None:
    async with two_nodes() as (one, two):
        call = asyncio.create_task(one.calls.call(two.id, "later", b"1", LONG))
        await asyncio.sleep(PATIENCE * 50)
        assert not call.done(), "the call was given up although the other node answers pings"
        two.go.set()
        assert await call == b"1"


@in_virtual_time
async def test_a_call_times_out_when_a_living_node_does_not_answer() -> None:
    async with two_nodes() as (one, two):
        with pytest.raises(TimeoutError):
            await one.calls.call(two.id, "later", b"", PATIENCE * 20)
        two.go.set()
        assert await one.calls.call(two.id, "echo", b"1", LONG) == b"1", "the late answer was taken for this one"


@in_virtual_time
async def test_an_unknown_node_is_unreachable() -> None:
    async with two_nodes() as (one, _):
        loop = asyncio.get_running_loop()
        before = loop.time()
        with pytest.raises(NodeUnreachable):
            await one.calls.call("nobody", "echo", b"", LONG)
        assert PATIENCE <= loop.time() - before <= 2.5 * PATIENCE


@in_virtual_time
async def test_all_calls_to_a_node_that_dies_fail() -> None:
    async with two_nodes() as (one, two):
        calls = [asyncio.create_task(one.calls.call(two.id, "later", b"", LONG)) for _ in range(3)]
        await asyncio.sleep(PATIENCE * 10)
        assert two.log == [b""] * 3
        await two.calls._endpoint.broker.stop()
        died = asyncio.get_running_loop().time()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert asyncio.get_running_loop().time() - died <= 2.5 * PATIENCE
        assert [type(result) for result in results] == [NodeUnreachable] * 3


@in_virtual_time
async def test_a_node_that_is_cut_off_takes_no_other_node_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_nodes() as (one, two):
        monkeypatch.setattr(MemoryBroker, "connected", False)
        broker = two.calls._endpoint.broker
        await broker.stop()
        call = asyncio.create_task(one.calls.call(two.id, "later", b"1", LONG))
        await asyncio.sleep(PATIENCE * 50)
        assert not call.done()
        monkeypatch.setattr(MemoryBroker, "connected", True)
        with pytest.raises(NodeUnreachable):
            await call


@in_virtual_time
async def test_a_call_fails_when_its_method_raises_or_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    async with two_nodes() as (one, two):
        for method in ("fail", "no such method"):
            with pytest.raises(CallFailed):
                await one.calls.call(two.id, method, b"", LONG)
        assert [record.message for record in caplog.records] == ["call between nodes failed"]
        one.calls.cast(two.id, "no such notice", b"")
        assert await one.calls.call(two.id, "echo", b"1", LONG) == b"1"


@in_virtual_time
async def test_malformed_messages_are_logged_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    async with two_nodes() as (one, two):
        for event in ("call", "cast", "answer"):
            one.calls._send(two.id, event, b"\xc1")
        one.calls._send(two.id, "unknown", b"")
        assert [record.message for record in caplog.records] == ["bad call between nodes"] * 3
        assert await one.calls.call(two.id, "echo", b"1", LONG) == b"1"


@in_virtual_time
async def test_a_node_that_stops_leaves_no_call_waiting() -> None:
    async with two_nodes() as (one, two):
        call = asyncio.create_task(one.calls.call(two.id, "later", b"", LONG))
        await asyncio.sleep(0)
        await one.calls.stop()
        with pytest.raises(NodeUnreachable):
            await call
        await one.calls.start()
