"""Who may stay is looked at once for all members of a topic, and from cause to end nothing reaches them."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from gateway.channel import Channel, HandleResult, InfoResult, JoinResult, Notice, Ok, Stop
from shared.events import control
from tests.gateway.nodes import SOON, Client, broadcast, closed, crashed, reply
from tests.gateway.runtime.conftest import Start

TOPIC = "room:1"


class Guarded(Channel):
    """Who may stay is what the test puts into `guests`; None raises. It looks when the gate is open."""

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


async def looked(*clients: Client) -> None:
    async with asyncio.timeout(SOON):
        for client in clients:
            for joined in list(client.session.topics.values()):
                while joined.server is not None and joined.server.held is not None:  # noqa: ASYNC110 (it tells nobody)
                    await asyncio.sleep(0)


def changes(client: Client) -> None:
    client.endpoint.broadcast(TOPIC, "changed", {})


async def test_one_look_is_for_all_members_and_only_those_who_may_stay(start: Start) -> None:
    ann, bob, eve = await members(start, 1, 2, 3)
    Guarded.guests = frozenset({1, 2})
    changes(ann)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    assert ann.take() == bob.take() == eve.take() == []
    await looked(ann, bob, eve)
    assert Guarded.looks == [TOPIC]
    assert ann.take() == bob.take() == [broadcast("news", 1)]
    assert eve.take() == [closed()]


async def test_causes_in_one_tick_are_one_look_and_one_that_comes_later_is_not_answered_by_it(start: Start) -> None:
    ann, bob = await members(start, 1, 2)
    Guarded.gate.clear()
    changes(ann)
    ann.endpoint.link_restored(1.0)
    await asyncio.sleep(0)
    assert Guarded.looks == [TOPIC]
    # What this one finds may be older than this cause.
    ann.endpoint.link_restored(1.0)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    await asyncio.sleep(0)
    assert Guarded.looks == [TOPIC] * 2
    Guarded.gate.set()
    await looked(ann, bob)
    assert ann.take() == bob.take() == [broadcast("news", 1)]


async def test_what_was_held_keeps_its_order_with_changes_in_between(start: Start) -> None:
    ann, bob = await members(start, 1, 2)
    for number in range(5):
        changes(ann)
        ann.endpoint.broadcast(TOPIC, "news", number)
        ann.endpoint.broadcast(TOPIC, "masked", number)
    await looked(ann, bob)
    assert [(frame.event, frame.payload) for frame in ann.take()] == [
        (event, number) for number in range(5) for event in ("news", "masked")
    ]


async def test_a_stop_that_was_found_ends_all(start: Start) -> None:
    ann, bob = await members(start, 1, 2)
    Guarded.guests = Stop("try again")
    changes(ann)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    await looked(ann, bob)
    assert ann.take() == bob.take() == [crashed()]
    assert len(ann.endpoint.topics) == 0


async def test_a_look_that_raises_ends_all_and_a_judge_that_raises_its_own_channel(start: Start) -> None:
    ann, eve = await members(start, 1, 13)
    changes(ann)
    await looked(ann, eve)
    assert (ann.take(), eve.take()) == ([], [crashed()])
    Guarded.guests = None
    changes(ann)
    await looked(ann)
    assert ann.take() == [crashed()]
    await ann.joins(TOPIC)


async def test_a_notice_that_concerns_nobody_is_no_look_and_concerns_that_raises_ends_its_own_channel(
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


async def test_a_look_waits_for_what_the_channel_is_doing(start: Start) -> None:
    [ann] = await members(start, 1)
    ann.says("j1", "r1", TOPIC, "wait")
    Guarded.guests = frozenset()
    changes(ann)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ann.take() == []
    Guarded.join_gate.set()
    assert await ann.gets(2) == [reply("r1"), closed()]


@pytest.mark.parametrize("cause", ["changed", control.CATCH_UP])
async def test_what_happens_during_a_join_is_looked_at_behind_its_answer(start: Start, cause: str) -> None:
    ann = Client(await start(Guarded))
    ann.says("j1", "r1", TOPIC, "phx_join", "wait")
    Guarded.guests = frozenset()
    if cause == "changed":
        changes(ann)
    else:
        ann.endpoint.link_restored(1.0)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    Guarded.join_gate.set()
    assert await ann.gets(2) == [reply("r1"), closed()]


async def test_who_leaves_meanwhile_hears_nothing_of_it(start: Start) -> None:
    ann, bob = await members(start, 1, 2)
    Guarded.gate.clear()
    changes(ann)
    await asyncio.sleep(0)
    ann.says("j1", "r1", TOPIC, "phx_leave")
    bob.dropped()
    await ann.joins(TOPIC, join_ref="j2")
    ann.take()
    Guarded.gate.set()
    await asyncio.sleep(0)
    changes(ann)
    ann.endpoint.broadcast(TOPIC, "news", 1)
    await looked(ann)
    assert ann.take() == [broadcast("news", 1)]
