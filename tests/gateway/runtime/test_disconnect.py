"""Tests disconnects and changes of role, for open connections and for users that were looked up just before them."""

from __future__ import annotations

import asyncio

import pytest

from gateway.channel import Channel, JoinResult, Ok
from gateway.runtime.endpoint import Endpoint
from shared.domain.users import Role
from shared.events import control
from shared.events.envelope import json_payload
from shared.pubsub.memory import MemoryHub
from tests.gateway.nodes import Client, actor
from tests.gateway.runtime.conftest import Start


class Room(Channel):
    async def join(self, topic: str, params: object) -> JoinResult:
        return Ok()


@pytest.fixture
async def nodes(start: Start) -> list[Endpoint]:
    hub = MemoryHub()
    return [await start(Room, hub=hub) for _ in range(2)]


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_disconnect_closes_the_users_connections_on_every_node(nodes: list[Endpoint]) -> None:
    clients = [Client(node, user_id) for node in nodes for user_id in (1, 1, 2)]
    await clients[0].joins("room:1")
    nodes[0].disconnect(1)
    assert [client.close_code for client in clients] == [1001, 1001, None] * 2
    assert len(nodes[0].topics) == 0


async def test_a_disconnect_of_one_session_keeps_the_users_other_sessions(nodes: list[Endpoint]) -> None:
    clients = [Client(node, actor(1, session)) for node in nodes for session in ("a", "b", "c")]
    nodes[0].disconnect(1, "a")
    assert [client.close_code for client in clients] == [1001, None, None] * 2


USERS_SESSIONS = [(1, "a"), (1, "b"), (1, "c"), (2, "b")]


async def test_a_disconnect_of_all_sessions_but_one_keeps_that_one(nodes: list[Endpoint]) -> None:
    clients = [Client(node, actor(user_id, session)) for node in nodes for user_id, session in USERS_SESSIONS]
    before = now()
    payload = json_payload(control.disconnect(1, kept_session_id="a"))
    for node in nodes:  # each node tells the other one
        node.publish(control.CONTROL, control.DISCONNECT, payload)
    assert [client.close_code for client in clients] == [None, 1001, 1001, None] * 2
    for node in nodes:
        assert Client(node, actor(1, "a"), as_of=before).close_code is None
        assert Client(node, actor(1, "b"), as_of=before).close_code == 1001


async def test_a_user_looked_up_before_a_disconnect_is_closed_on_connecting_after_it(nodes: list[Endpoint]) -> None:
    before = now()
    nodes[0].disconnect(1, "a")
    for node in nodes:
        assert Client(node, actor(1, "a"), as_of=before).close_code == 1001
        assert Client(node, actor(1, "b"), as_of=before).close_code is None
        assert Client(node, actor(2, "a"), as_of=before).close_code is None
        # This user was looked up after the disconnect, for example at a new log-in.
        assert Client(node, actor(1, "a"), as_of=now() + 0.001).close_code is None


async def test_a_connection_renewed_by_a_look_up_before_the_disconnect_is_closed(
    nodes: list[Endpoint],
) -> None:
    client = Client(nodes[0], actor(1, "a"))
    before = now()
    nodes[1].disconnect(1, "b")
    assert client.close_code is None
    client.renew(actor(1, "b"), before)
    assert client.close_code == 1001


async def test_a_user_whose_role_changed_while_connecting_has_the_new_role(nodes: list[Endpoint]) -> None:
    before = now()
    nodes[0].connections.role_changed(1, Role.USER)
    assert Client(nodes[0], actor(1, role=Role.ADMIN), as_of=before).actor.role is Role.USER
    assert Client(nodes[0], actor(2, role=Role.ADMIN), as_of=before).actor.role is Role.ADMIN


async def test_a_connection_to_a_draining_node_is_closed_with_1012(nodes: list[Endpoint]) -> None:
    await nodes[0].drain()
    assert Client(nodes[0]).close_code == 1012
