"""Tests a node's collection of connections: what it contains, and how it checks all of them at intervals."""

from __future__ import annotations

import asyncio
from collections import Counter

from gateway.runtime.endpoint import Endpoint
from gateway.runtime.roster import SLICES
from shared.domain.users import Role
from shared.settings import Settings
from tests.gateway.nodes import NEVER, Client, actor, start_node
from tests.support.virtual_time import in_virtual_time
from tests.support.waiting import until


class Checked(Client):
    """Counts how often it is checked, and how many connections are checked in the same turn of the loop."""

    def __init__(self, endpoint: Endpoint, user_id: int, turns: Counter[float]) -> None:
        self.turns = turns
        self.checks = 0
        super().__init__(endpoint, user_id)

    def check(self, now: float) -> None:
        super().check(now)
        self.turns[now] += 1
        self.checks += 1


async def test_the_roster_contains_the_open_connections() -> None:
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


@in_virtual_time
async def test_each_round_checks_all_connections_and_each_turn_of_the_loop_only_a_slice() -> None:
    node = await start_node({}, settings=Settings(idle_seconds=0.4))
    turns: Counter[float] = Counter()
    clients = [Checked(node, number, turns) for number in range(10 * SLICES)]
    await until(lambda: min(client.checks for client in clients) >= 3)
    assert max(turns.values()) == 10
    assert max(client.checks for client in clients) <= 4
    await node.stop()


@in_virtual_time
async def test_a_connection_whose_token_expired_is_closed_in_the_next_round() -> None:
    node = await start_node({}, settings=Settings(idle_seconds=0.4))
    clients = [Client(node, actor(number, expires_at=number % 2 * NEVER)) for number in range(2 * SLICES)]
    await until(lambda: len(node.connections) <= SLICES)
    assert [client.close_code for client in clients] == [1001, None] * SLICES
    await node.stop()


async def test_recent_events_of_a_user_apply_to_a_new_connection_and_those_of_others_do_not() -> None:
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


async def test_the_backlogs_of_all_connections_are_added_up() -> None:
    node = await start_node({}, settings=Settings(idle_seconds=0.04))
    clients = [Client(node, number) for number in range(20)]
    for client in clients:
        client.backlog = 3
    await until(lambda: node.connections.backlog == 60)
    await node.stop()
