"""Tests the limit on a user's joins: a join past it gets an error, and makes neither a channel nor a subscription."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.channel import Channel, JoinResult, Ok
from gateway.runtime.endpoint import Endpoint
from tests.gateway.nodes import Client, closed, reply, start_node

TOO_MANY = {"reason": "too many requests"}


class Room(Channel):
    joins = 0

    async def join(self, topic: str, params: Any) -> JoinResult:
        Room.joins += 1
        return Ok(params if isinstance(params, str) else {})


class Budget:
    """Allows each user three joins."""

    def __init__(self) -> None:
        self.taken: Counter[int] = Counter()

    def take(self, user_id: int) -> bool:
        self.taken[user_id] += 1
        return self.taken[user_id] <= 3


@pytest.fixture
async def node() -> AsyncIterator[Endpoint]:
    Room.joins = 0
    endpoint = await start_node({"room:*": Room}, may_join=Budget().take)
    yield endpoint
    await endpoint.stop()


async def test_joins_past_the_budget_are_refused_on_all_connections_of_the_user(node: Endpoint) -> None:
    clients = [Client(node), Client(node)]
    for number in range(4):
        clients[number % 2].says(f"j{number}", "r1", f"room:{number}", "phx_join")
    assert clients[0].take() == [reply("r1", topic=f"room:{number}", join_ref=f"j{number}") for number in (0, 2)]
    assert clients[1].take() == [
        reply("r1", topic="room:1", join_ref="j1"),
        reply("r1", TOO_MANY, "error", "room:3", "j3"),
    ]
    assert (Room.joins, len(node.topics)) == (3, 3)
    other = Client(node, 2)
    await other.joins("room:3")


async def test_a_join_is_refused_while_the_user_has_sent_and_got_too_much(node: Endpoint) -> None:
    client = Client(node)
    client.allowance.left = -1e12
    client.says("j1", "r1", "room:1", "phx_join")
    assert client.take() == [reply("r1", TOO_MANY, "error", "room:1", "j1")]
    assert (Room.joins, len(node.topics)) == (0, 0)
    client.allowance.left = -1000.0
    await client.joins("room:1")


async def test_time_with_a_full_allowance_is_not_for_later(node: Endpoint) -> None:
    client = Client(node)
    full = client.allowance.left
    client.allowance._since -= 1000
    client.check(0.0)
    client.allowance.left -= 2 * full
    assert client.allowance.seconds() > 0


async def test_a_repeated_join_past_the_budget_ends_the_first_channel(node: Endpoint) -> None:
    client = Client(node)
    for number in range(3):
        await client.joins("room:1", join_ref=f"j{number}")
        client.take()
    client.says("j3", "r1", "room:1", "phx_join")
    assert client.take() == [reply("r1", TOO_MANY, "error", join_ref="j3"), closed("j2")]
    assert len(node.topics) == 0
    assert client.session.topics == {}


async def test_a_large_answer_to_a_join_costs_the_user_as_much_as_a_frame_of_its_size(node: Endpoint) -> None:
    client = Client(node)
    before = client.allowance.left
    await client.joins("room:1")
    small = before - client.allowance.left
    await client.joins("room:2", "x" * 100_000)
    assert before - client.allowance.left - 2 * small == pytest.approx(100_000, abs=10)


async def test_a_join_of_an_unknown_topic_takes_nothing_from_the_budget(node: Endpoint) -> None:
    client = Client(node)
    for _ in range(5):
        client.says("j1", "r1", "nothing:1", "phx_join")
    client.take()
    await client.joins("room:1")
