"""One look decides for all members of a topic who may stay; from its cause to its end no broadcast reaches them."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from gateway.channel import Channel, HandleResult, InfoResult, JoinResult, Notice, Ok, Stop
from shared.events import control
from tests.gateway.nodes import Client, broadcast, closed, crashed, reply, wait_for_looks
from tests.gateway.runtime.conftest import Start

TOPIC = "room:1"


class Guarded(Channel):
    """The users in `guests` may stay. If `guests` is None, the look raises. A look waits until `gate` is set."""

    intercepts = frozenset({"changed", "masked"})
    looks_again_at = frozenset({"changed"})
    watches_access = True

    guests: ClassVar[frozenset[int] | Stop | None]
    gate: ClassVar[asyncio.Event]
    join_gate: ClassVar[asyncio.Event]
    looks: ClassVar[list[str]]

    async def join(self, topic: str, params: Any) -> JoinResult:
        await self.subscribe()
        if params == "wait":
            await self.join_gate.wait()
        return Ok()

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        await self.join_gate.wait()
        return Ok()

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        assert event == "masked"
        return await super().handle_out(event, payload)

    def concerns(self, notice: Notice) -> bool:
        if notice.event == "raise":
            raise RuntimeError("asked to")
        return notice.event != "no"

    @classmethod
    async def look(cls, topic: str, context: Any) -> Any:
        cls.looks.append(topic)
        await cls.gate.wait()
        if cls.guests is None:
            raise RuntimeError("asked to")
        return cls.guests

    def judge(self, found: Any) -> InfoResult:
        user_id = self.actor.user_id
        if user_id == 13:
            raise RuntimeError("asked to")
        return None if user_id in found else Stop()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Guarded.gate, Guarded.join_gate, Guarded.looks = asyncio.Event(), asyncio.Event(), []
    Guarded.guests = frozenset(range(1, 14))
    Guarded.gate.set()


async def members(start: Start, *user_ids: int) -> list[Client]:
    node = await start(Guarded)
    clients = [Client(node, user_id) for user_id in user_ids]
    for client in clients:
        await client.joins(TOPIC)
    return clients


def broadcast_change(client: Client) -> None:
    client.endpoint.broadcast(TOPIC, "changed", {})


async def test_one_look_decides_for_all_members_and_removes_those_who_may_not_stay(start: Start) -> None:
    ann, bob, eve = await members(start, 1, 2, 3)
    Guarded.guests = frozenset({1, 2})
    broadcast_change(ann)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    assert ann.take() == bob.take() == eve.take() == []
    await wait_for_looks(ann, bob, eve)
    assert Guarded.looks == [TOPIC]
    assert ann.take() == bob.take() == [broadcast("news", 1)]
    assert eve.take() == [closed()]


async def test_causes_in_one_tick_share_a_look_and_a_later_cause_needs_another(start: Start) -> None:
    ann, bob = await members(start, 1, 2)
    Guarded.gate.clear()
    broadcast_change(ann)
    ann.endpoint.link_restored(1.0)
    await asyncio.sleep(0)
    assert Guarded.looks == [TOPIC]
    # The first look may have read the state before this cause.
    ann.endpoint.link_restored(1.0)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    await asyncio.sleep(0)
    assert Guarded.looks == [TOPIC] * 2
    Guarded.gate.set()
    await wait_for_looks(ann, bob)
    assert ann.take() == bob.take() == [broadcast("news", 1)]


async def test_held_broadcasts_keep_their_order(start: Start) -> None:
    ann, bob = await members(start, 1, 2)
    for number in range(5):
        broadcast_change(ann)
        ann.endpoint.broadcast(TOPIC, "news", number)
        ann.endpoint.broadcast(TOPIC, "masked", number)
    await wait_for_looks(ann, bob)
    assert [(frame.event, frame.payload) for frame in ann.take()] == [
        (event, number) for number in range(5) for event in ("news", "masked")
    ]


async def test_a_look_that_returns_stop_ends_the_channels_of_all_members(start: Start) -> None:
    ann, bob = await members(start, 1, 2)
    Guarded.guests = Stop("try again")
    broadcast_change(ann)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    await wait_for_looks(ann, bob)
    assert ann.take() == bob.take() == [crashed()]
    assert len(ann.endpoint.topics) == 0


async def test_a_look_that_raises_ends_all_channels_and_a_judge_that_raises_only_its_own(start: Start) -> None:
    ann, eve = await members(start, 1, 13)
    broadcast_change(ann)
    await wait_for_looks(ann, eve)
    assert (ann.take(), eve.take()) == ([], [crashed()])
    Guarded.guests = None
    broadcast_change(ann)
    await wait_for_looks(ann)
    assert ann.take() == [crashed()]
    await ann.joins(TOPIC)


async def test_a_notice_without_concern_causes_no_look_and_concerns_that_raises_ends_its_channel(
    start: Start,
) -> None:
    ann, _ = await members(start, 1, 2)
    [server, _] = ann.endpoint.topics.members(TOPIC)
    server.notice(Notice("no", {}))
    ann.endpoint.broadcast(TOPIC, "news", 1)
    assert ann.take() == [broadcast("news", 1)]
    server.notice(Notice("raise", {}))
    assert ann.take() == [crashed()]
    assert Guarded.looks == []


async def test_a_look_waits_for_the_running_handler(start: Start) -> None:
    [ann] = await members(start, 1)
    ann.says("j1", "r1", TOPIC, "wait")
    Guarded.guests = frozenset()
    broadcast_change(ann)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ann.take() == []
    Guarded.join_gate.set()
    assert await ann.gets(2) == [reply("r1"), closed()]


@pytest.mark.parametrize("cause", ["changed", control.CATCH_UP])
async def test_a_cause_during_a_join_is_looked_at_after_the_reply(start: Start, cause: str) -> None:
    ann = Client(await start(Guarded))
    ann.says("j1", "r1", TOPIC, "phx_join", "wait")
    Guarded.guests = frozenset()
    if cause == "changed":
        broadcast_change(ann)
    else:
        ann.endpoint.link_restored(1.0)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    Guarded.join_gate.set()
    assert await ann.gets(2) == [reply("r1"), closed()]


async def test_a_member_that_leaves_and_rejoins_during_a_look_is_not_affected_by_it(start: Start) -> None:
    ann, bob = await members(start, 1, 2)
    Guarded.gate.clear()
    broadcast_change(ann)
    await asyncio.sleep(0)
    ann.says("j1", "r1", TOPIC, "phx_leave")
    bob.dropped()
    await ann.joins(TOPIC, join_ref="j2")
    ann.take()
    Guarded.gate.set()
    await asyncio.sleep(0)
    broadcast_change(ann)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    await wait_for_looks(ann)
    assert ann.take() == [broadcast("news", 1)]
