"""The connections of a node as a collection: who is in it, and how all of them are looked after."""

from __future__ import annotations

import asyncio
from collections import Counter

from gateway.runtime.endpoint import Endpoint
from gateway.runtime.roster import SLICES
from shared.domain.users import Role
from shared.settings import Settings
from tests.gateway.nodes import NEVER, SOON, Client, actor, start_node


class Checked(Client):
    """Notes the turn of the loop in which it is looked after."""

    def __init__(self, endpoint: Endpoint, user_id: int, turns: Counter[float]) -> None:
        self.turns = turns
        self.checks = 0
        super().__init__(endpoint, user_id)

    def check(self, now: float) -> None:
        super().check(now)
        self.turns[now] += 1
        self.checks += 1


async def test_it_holds_whoever_is_connected() -> None:
    node = await start_node({})
    clients = [Client(node, user_id) for user_id in (1, 1, 2)]
    roster = node.connections
    assert (len(roster), set(roster), roster.users) == (3, set(clients), 2)
    assert roster.of_user(1) == tuple(clients[:2])
    clients[0].dropped()
    assert (len(roster), set(roster), roster.users) == (2, set(clients[1:]), 2)
    assert clients[0] not in roster
    assert clients[1] in roster
    clients[1].dropped()
    assert (roster.of_user(1), roster.users) == ((), 1)
    await node.stop()


async def test_all_are_looked_after_each_round_and_no_turn_of_the_loop_is_for_more_than_a_slice() -> None:
    node = await start_node({}, settings=Settings(idle_seconds=0.4))
    turns: Counter[float] = Counter()
    clients = [Checked(node, number, turns) for number in range(10 * SLICES)]
    async with asyncio.timeout(SOON):
        while min(client.checks for client in clients) < 3:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.001)
    assert max(turns.values()) == 10
    assert max(client.checks for client in clients) <= 4
    await node.stop()


async def test_whose_token_expires_is_closed_in_the_next_round() -> None:
    node = await start_node({}, settings=Settings(idle_seconds=0.4))
    clients = [Client(node, actor(number, expires_at=number % 2 * NEVER)) for number in range(2 * SLICES)]
    async with asyncio.timeout(SOON):
        while len(node.connections) > SLICES:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.001)
    assert [client.close_code for client in clients] == [1001, None] * SLICES
    await node.stop()


async def test_all_that_happened_to_a_user_lately_takes_effect_and_nothing_of_others() -> None:
    node = await start_node({})
    before = asyncio.get_running_loop().time()
    for user_id in range(1000, 2000):
        node.connections.disconnect(user_id, None)
        node.connections.role_changed(user_id, Role.ADMIN)
    node.connections.role_changed(1, Role.MODERATOR)
    node.connections.disconnect(1, "phone")
    node.connections.role_changed(1, Role.USER)
    for session, code in (("phone", 1001), ("laptop", None)):
        client = Client(node)
        client.renew(actor(1, session, Role.ADMIN), before)
        assert (client.close_code, client.actor.role) == (code, Role.USER)
    await node.stop()


async def test_the_backlog_of_all_is_counted() -> None:
    node = await start_node({}, settings=Settings(idle_seconds=0.04))
    clients = [Client(node, number) for number in range(20)]
    for client in clients:
        client.backlog = 3
    async with asyncio.timeout(SOON):
        while node.connections.backlog != 60:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.001)
    await node.stop()
