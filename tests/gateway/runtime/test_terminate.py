"""`terminate` runs once for each channel that was joined, with the reason, before the client is told of the end."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from gateway.channel import Channel, Error, HandleResult, InfoResult, JoinResult, Ok, Stop
from tests.gateway.nodes import Client, closed, crashed, reply
from tests.gateway.runtime.conftest import Start
from tests.support.waiting import PATIENCE_SECONDS


class Ending(Channel):
    """Records its topic and the reason when it ends."""

    intercepts = frozenset({"out"})
    ends: ClassVar[list[tuple[str, str]]] = []
    gate: ClassVar[asyncio.Event]
    ended: ClassVar[asyncio.Event]

    async def join(self, topic: str, params: Any) -> JoinResult:
        self.params = params
        match params:
            case "refuse":
                return Error()
            case "crash":
                raise RuntimeError("asked to")
            case "wait":
                await self.gate.wait()
        return Ok()

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        match event:
            case "stop":
                return Stop(payload)
            case "crash":
                raise RuntimeError("asked to")
            case "cancel":
                raise asyncio.CancelledError
            case "wait":
                await self.gate.wait()
                return Ok()
            case "info" | "out":
                self.send_info(payload) if event == "info" else self.broadcast("out", payload)
                return None
        return await super().handle_in(event, payload)

    async def handle_info(self, message: Any) -> InfoResult:
        raise RuntimeError(message)

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        raise RuntimeError(payload)

    async def terminate(self, reason: str) -> None:
        if self.params == "wait in terminate":
            await self.gate.wait()
        self.ends.append((self.topic, reason))
        self.ended.set()
        if self.params == "crash in terminate":
            raise RuntimeError("asked to")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Ending.ends = []
    Ending.gate = asyncio.Event()
    Ending.ended = asyncio.Event()


async def joined(start: Start, params: Any = None) -> Client:
    client = Client(await start(Ending))
    await client.joins("room:1", params)
    return client


@pytest.mark.parametrize(
    ("event", "payload", "reason"),
    [
        ("phx_leave", {}, "left"),
        ("stop", "normal", "normal"),
        ("stop", "shutdown", "shutdown"),
        ("stop", "database gone", "database gone"),
        ("crash", {}, "crashed"),
        ("cancel", {}, "crashed"),
        ("no such event", {}, "crashed"),
        ("info", "x", "crashed"),
        ("out", "x", "crashed"),
    ],
)
async def test_terminate_gets_the_reason(start: Start, event: str, payload: Any, reason: str) -> None:
    client = await joined(start)
    client.says("j1", "r1", "room:1", event, payload)
    assert Ending.ends == [("room:1", reason)]
    assert len(client.endpoint.topics) == 0


async def test_a_second_join_ends_the_first_channel(start: Start) -> None:
    client = await joined(start)
    client.says("j2", "r1", "room:1", "phx_join")
    assert Ending.ends == [("room:1", "duplicate join")]
    assert client.take() == [reply("r1", join_ref="j2"), closed("j1")]
    client.says("j2", "r2", "room:1", "phx_leave")
    assert Ending.ends == [("room:1", "duplicate join"), ("room:1", "left")]


@pytest.mark.parametrize("params", ["refuse", "crash"])
async def test_a_second_join_that_fails_ends_the_first_channel_too(start: Start, params: str) -> None:
    client = await joined(start)
    client.says("j2", "r1", "room:1", "phx_join", params)
    answer, last = client.take()
    assert (answer.join_ref, answer.ref, answer.payload["status"]) == ("j2", "r1", "error")
    assert last == closed("j1")
    assert Ending.ends == [("room:1", "duplicate join")]
    assert len(client.endpoint.topics) == 0


async def test_a_dropped_connection_ends_all_its_channels_and_no_others(start: Start) -> None:
    node = await start(Ending)
    client, other = Client(node), Client(node)
    for number in range(3):
        await client.joins(f"room:{number}", join_ref=f"j{number}")
    await other.joins("room:1")
    client.dropped()
    assert sorted(Ending.ends) == [(f"room:{number}", "closed") for number in range(3)]
    assert (len(node.topics), "room:1" in node.topics) == (1, True)
    assert list(node.connections) == [other]


async def test_a_connection_dropped_while_a_handler_waits_ends_the_channel_afterwards(start: Start) -> None:
    client = await joined(start)
    client.says("j1", "r1", "room:1", "wait")
    client.dropped()
    assert Ending.ends == []
    Ending.gate.set()
    await asyncio.wait_for(Ending.ended.wait(), PATIENCE_SECONDS)
    assert Ending.ends == [("room:1", "closed")]
    assert len(client.endpoint.topics) == 0


async def test_a_connection_dropped_while_a_join_waits_leaves_no_channel_behind(start: Start) -> None:
    client = Client(await start(Ending))
    client.says("j1", "r1", "room:1", "phx_join", "wait")
    client.says("j1", "r2", "room:1", "wait")
    client.dropped()
    Ending.gate.set()
    await asyncio.wait_for(Ending.ended.wait(), PATIENCE_SECONDS)
    assert Ending.ends == [("room:1", "closed")]
    assert len(client.endpoint.topics) == 0
    assert client.session.topics == {}


async def test_a_connection_dropped_while_a_second_join_waits_starts_no_second_channel(start: Start) -> None:
    client = await joined(start)
    client.says("j1", "r1", "room:1", "wait")
    client.says("j2", "r2", "room:1", "phx_join")
    client.dropped()
    Ending.gate.set()
    await asyncio.wait_for(Ending.ended.wait(), PATIENCE_SECONDS)
    assert Ending.ends == [("room:1", "duplicate join")]
    assert len(client.endpoint.topics) == 0


@pytest.mark.parametrize("params", ["refuse", "crash"])
async def test_a_failed_join_does_not_run_terminate(start: Start, params: str) -> None:
    client = Client(await start(Ending))
    client.says("j1", "r1", "room:1", "phx_join", params)
    client.says("j1", "r2", "room:1", "phx_leave")
    client.dropped()
    assert Ending.ends == []


async def test_a_terminate_that_raises_changes_nothing_for_the_client(start: Start) -> None:
    client = await joined(start, "crash in terminate")
    client.says("j1", "r1", "room:1", "phx_leave")
    client.says("j2", "r2", "room:1", "phx_join")
    assert client.take() == [reply("r1"), closed(), reply("r2", join_ref="j2")]


async def test_the_client_is_told_of_the_end_after_terminate(start: Start) -> None:
    client = await joined(start, "wait in terminate")
    client.says("j1", "r1", "room:1", "crash")
    client.says("j2", "r2", "room:1", "phx_join")
    assert client.take() == []
    Ending.gate.set()
    # The second join arrived while the channel was ending, so it is handled afterwards.
    frames = await client.gets(2)
    assert frames[0] == crashed()
    assert (frames[1].ref, frames[1].payload["status"]) == ("r2", "ok")


async def test_a_channel_that_crashed_can_be_joined_again(start: Start) -> None:
    client = await joined(start)
    client.says("j1", "r1", "room:1", "crash")
    client.says("j1", "r2", "room:1", "wait")
    client.says("j2", "r3", "room:1", "phx_join")
    assert client.take() == [
        crashed(),
        reply("r2", {"reason": "unmatched topic"}, "error", join_ref=None),
        reply("r3", join_ref="j2"),
    ]


async def test_a_crash_does_not_affect_other_channels(start: Start) -> None:
    client = await joined(start)
    await client.joins("room:2", join_ref="j2")
    client.says("j1", "r1", "room:1", "crash")
    assert client.take() == [crashed()]
    client.says("j2", "r2", "room:2", "stop", "normal")
    assert client.take() == [closed("j2", "room:2")]
