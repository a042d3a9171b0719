"""Messages of one channel are handled one after another; nothing else waits for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.channel import Channel, Error, HandleResult, InfoResult, JoinResult, Ok, Stop
from gateway.protocol.serializer_v1 import SERIALIZER as V1
from shared.settings import Settings
from tests.gateway.nodes import Client, closed, crashed, push, reply
from tests.gateway.runtime.conftest import Start
from tests.protocol.client_frames import Received

UNMATCHED = {"reason": "unmatched topic"}


class Gated(Channel):
    """Waits for its topic's gate in a join whose params have `wait`, and at the events that begin with `wait`."""

    def __init__(self, socket: Any, params: Any) -> None:
        super().__init__(socket, params)
        self.gate: asyncio.Event = GATES.setdefault(self.topic, asyncio.Event())

    async def join(self, topic: str, params: Any) -> JoinResult:
        match params:
            case {"wait": "accept"}:
                await self.gate.wait()
            case {"wait": "refuse"}:
                await self.gate.wait()
                return Error({"reason": "no"})
            case {"wait": "crash"}:
                await self.gate.wait()
                raise RuntimeError("asked to")
        return Ok()

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        match event:
            case "echo":
                return Ok(payload)
            case "wait":
                await self.gate.wait()
                return Ok(payload)
            case "wait_and_crash":
                await self.gate.wait()
                raise RuntimeError("asked to")
            case "wait_and_stop":
                await self.gate.wait()
                return Stop()
            case "info":
                self.send_info(payload)
                return None
        return await super().handle_in(event, payload)

    async def handle_info(self, message: Any) -> InfoResult:
        self.push("info", message)
        return None


GATES: dict[str, asyncio.Event] = {}


@pytest.fixture(autouse=True)
def _fresh_gates() -> None:
    GATES.clear()


def open_gate(topic: str = "room:1") -> None:
    GATES[topic].set()


async def joined(start: Start, *topics: str) -> Client:
    client = Client(await start(Gated))
    for number, topic in enumerate(topics or ("room:1",), start=1):
        await client.joins(topic, join_ref=f"j{number}")
    return client


async def test_messages_of_one_channel_are_handled_in_order_when_a_handler_waits(start: Start) -> None:
    client = await joined(start)
    for ref, event in enumerate(("echo", "wait", "echo", "wait", "echo")):
        client.says("j1", ref, "room:1", event)
    assert client.events() == [0]
    open_gate()
    assert [one.ref for one in await client.gets(4)] == [1, 2, 3, 4]


async def test_a_message_that_a_handler_sends_itself_is_queued_behind_earlier_ones(start: Start) -> None:
    client = await joined(start)
    client.says("j1", "r1", "room:1", "wait")
    client.says("j1", "r2", "room:1", "info", {"n": 1})
    client.says("j1", "r3", "room:1", "echo")
    open_gate()
    assert await client.gets(3) == [reply("r1"), reply("r3"), push("info", {"n": 1})]


async def test_channels_of_one_connection_do_not_wait_for_each_other(start: Start) -> None:
    client = await joined(start, "room:1", "room:2")
    client.says("j1", "r1", "room:1", "wait")
    client.says("j2", "r2", "room:2", "echo")
    client.says(None, "r3", "phoenix", "heartbeat")
    assert client.events() == ["r2", "r3"]
    open_gate()
    assert await client.gets(1) == [reply("r1")]


async def test_channels_of_one_topic_on_two_connections_do_not_wait_for_each_other(start: Start) -> None:
    node = await start(Gated)
    one, other = Client(node), Client(node)
    await one.joins("room:1")
    await other.joins("room:1")
    one.says("j1", "r1", "room:1", "wait")
    other.says("j1", "r2", "room:1", "echo")
    assert other.events() == ["r2"]
    open_gate()
    await one.gets(1)


async def test_a_slow_join_delays_only_its_own_topic(start: Start) -> None:
    client = await joined(start, "room:1")
    client.says("j2", "r1", "room:2", "phx_join", {"wait": "accept"})
    client.says("j2", "r2", "room:2", "echo", {"n": 2})
    client.says("j1", "r3", "room:1", "echo")
    client.says("j3", "r4", "room:3", "phx_join")
    client.says(None, "r5", "phoenix", "heartbeat")
    assert client.events() == ["r3", "r4", "r5"]
    open_gate("room:2")
    answers = await client.gets(2)
    assert answers == [reply("r1", topic="room:2", join_ref="j2"), reply("r2", {"n": 2}, topic="room:2", join_ref="j2")]


@pytest.mark.parametrize(("how", "reason"), [("refuse", "no"), ("crash", "join crashed")])
async def test_messages_behind_a_failed_join_are_answered_unmatched_topic(start: Start, how: str, reason: str) -> None:
    client = Client(await start(Gated))
    client.says("j1", "r1", "room:1", "phx_join", {"wait": how})
    client.says("j1", "r2", "room:1", "echo")
    open_gate()
    assert await client.gets(2) == [
        reply("r1", {"reason": reason}, "error"),
        reply("r2", UNMATCHED, "error", join_ref=None),
    ]


async def test_a_leave_and_a_join_in_one_write_are_both_answered(start: Start) -> None:
    client = await joined(start)
    client.says("j1", "r1", "room:1", "phx_leave")
    client.says("j2", "r2", "room:1", "phx_join")
    assert await client.gets(3) == [reply("r1"), closed(), reply("r2", join_ref="j2")]


async def test_a_leave_waits_for_the_handler_and_the_next_join_for_the_leave(start: Start) -> None:
    client = await joined(start)
    client.says("j1", "r1", "room:1", "wait")
    client.says("j1", "r2", "room:1", "phx_leave")
    client.says("j2", "r3", "room:1", "phx_join")
    client.says("j2", "r4", "room:1", "echo")
    assert client.take() == []
    open_gate()
    assert await client.gets(5) == [
        reply("r1"),
        reply("r2"),
        closed(),
        reply("r3", join_ref="j2"),
        reply("r4", join_ref="j2"),
    ]


async def test_a_leave_during_a_join_is_handled_after_it(start: Start) -> None:
    client = Client(await start(Gated))
    client.says("j1", "r1", "room:1", "phx_join", {"wait": "accept"})
    client.says("j1", "r2", "room:1", "phx_leave")
    open_gate()
    assert await client.gets(3) == [reply("r1"), reply("r2"), closed()]


async def test_a_second_join_during_the_first_replaces_it_afterwards(start: Start) -> None:
    client = Client(await start(Gated))
    client.says("j1", "r1", "room:1", "phx_join", {"wait": "accept"})
    client.says("j2", "r2", "room:1", "phx_join")
    client.says("j1", "r3", "room:1", "echo")
    client.says("j2", "r4", "room:1", "echo")
    open_gate()
    assert await client.gets(4) == [reply("r1"), reply("r2", join_ref="j2"), closed(), reply("r4", join_ref="j2")]


async def test_messages_behind_a_crash_are_answered_unmatched_topic(start: Start) -> None:
    client = await joined(start)
    client.says("j1", "r1", "room:1", "wait_and_crash")
    client.says("j1", "r2", "room:1", "echo")
    client.says("j1", "r3", "room:1", "phx_leave")
    open_gate()
    assert await client.gets(3) == [crashed(), reply("r2", UNMATCHED, "error", join_ref=None), reply("r3")]


async def test_messages_behind_a_stop_are_answered_unmatched_topic(start: Start) -> None:
    client = await joined(start)
    client.says("j1", "r1", "room:1", "wait_and_stop")
    client.says("j1", "r2", "room:1", "echo")
    open_gate()
    assert await client.gets(2) == [closed(), reply("r2", UNMATCHED, "error", join_ref=None)]


async def test_a_leave_before_a_join_is_handled_before_it_when_the_channel_crashes(start: Start) -> None:
    # Version 1 sends no join_ref. If the leave were handled last, it would end the new channel.
    client = Client(await start(Gated), serializer=V1)
    client.says(None, 1, "room:1", "phx_join")
    client.says(None, 2, "room:1", "wait_and_crash")
    client.says(None, 3, "room:1", "phx_leave")
    client.says(None, 4, "room:1", "phx_join")
    client.says(None, 5, "room:1", "echo")
    client.take()
    open_gate()
    assert [one.ref for one in await client.gets(4)] == [None, 3, 4, 5]
    client.says(None, 6, "room:1", "echo")
    assert client.take()[0].payload == {"response": {}, "status": "ok"}


@pytest.mark.parametrize(("event", "last_word"), [("wait_and_crash", crashed()), ("wait_and_stop", closed())])
async def test_the_end_of_a_channel_that_a_second_join_waits_for_is_sent_once(
    start: Start, event: str, last_word: Received
) -> None:
    client = await joined(start)
    client.says("j1", "r1", "room:1", event)
    client.says("j1", "r2", "room:1", "echo")
    client.says("j2", "r3", "room:1", "phx_join")
    client.says("j2", "r4", "room:1", "echo")
    open_gate()
    assert await client.gets(4) == [
        last_word,
        reply("r2", UNMATCHED, "error", join_ref=None),
        reply("r3", join_ref="j2"),
        reply("r4", join_ref="j2"),
    ]


async def test_waiting_messages_are_counted_until_they_are_handled(start: Start) -> None:
    client = Client(await start(Gated, settings=Settings(max_backlog_messages=3)))
    client.says("j1", "r0", "room:1", "phx_join", {"wait": "accept"})
    for number in range(3):
        assert not client.is_congested
        client.says("j1", number, "room:1", "wait")
    assert client.is_congested
    decongested = asyncio.create_task(client.decongested())
    await asyncio.sleep(0)
    assert not decongested.done()
    open_gate()
    await asyncio.wait_for(decongested, 10)
    assert [one.ref for one in await client.gets(4)] == ["r0", 0, 1, 2]
    assert client.backlog == 0


async def test_a_full_backlog_of_messages_is_handled_after_the_join(start: Start) -> None:
    client = Client(await start(Gated))
    client.says("j1", "r0", "room:1", "phx_join", {"wait": "accept"})
    waiting = range(client.endpoint.settings.max_backlog_messages)
    for number in waiting:
        client.says("j1", number, "room:1", "echo")
    open_gate()
    assert [one.ref for one in await client.gets(1 + len(waiting))] == ["r0", *waiting]
    assert client.backlog == 0


async def test_a_full_backlog_of_joins_of_one_topic_is_answered_in_order(start: Start) -> None:
    client = Client(await start(Gated))
    client.says("j", "j", "room:1", "phx_join", {"wait": "accept"})
    waiting = range(client.endpoint.settings.max_backlog_messages)
    for number in waiting:
        client.says(number, number, "room:1", "phx_join")
    open_gate()
    answers = await client.gets(1 + 2 * len(waiting))
    assert [one.ref for one in answers if one.event == "phx_reply"] == ["j", *waiting]
    assert [one.ref for one in answers if one.event == "phx_close"] == ["j", *waiting[:-1]]
    assert client.backlog == 0


@pytest.mark.parametrize("event", ["wait", "wait_and_crash", "wait_and_stop"])
async def test_messages_that_waited_for_an_ended_channel_are_no_longer_counted(start: Start, event: str) -> None:
    client = await joined(start)
    client.says("j1", "r1", "room:1", event)
    for number in range(5):
        client.says("j1", number, "room:1", "echo")
    client.says("j1", "r2", "room:1", "phx_leave")
    client.says("j2", "r3", "room:1", "phx_join")
    assert client.backlog == 7
    open_gate()
    await client.gets(8)
    assert client.backlog == 0
