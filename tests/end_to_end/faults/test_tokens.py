"""A ban, a log-out, a role change or an expired token takes effect on every node, also while Redis is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import pytest

from shared.access.tokens import Tokens
from shared.domain.users import Role
from tests.end_to_end.faults.conftest import World
from tests.support.client import PASSWORD, Person, Rest, Socket
from tests.support.database import query
from tests.support.processes import Node


@dataclass
class People:
    """Two nodes, and people who have joined their own topic on both of them."""

    rest: Rest
    nodes: list[Node]
    admin: Person
    ann: Person
    bob: Person
    sockets: dict[int, list[Socket]]

    async def can_still_send(self, person: Person) -> None:
        for socket in self.sockets[person.id]:
            reply = await socket.push(person.topic, "send", {"to": person.id, "message": "still here"})
            assert reply["status"] == "ok"

    async def is_put_out(self, person: Person) -> None:
        for node, socket in zip(self.nodes, self.sockets[person.id], strict=True):
            assert await socket.closed() == 1001
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await Socket.connect(node.socket_url, person.token)
            assert refused.value.status == 403


@pytest.fixture
async def people(world: World) -> AsyncIterator[People]:
    api = await world.processes.api()
    nodes = await world.gateways(2)
    async with Rest(api.url) as rest, AsyncExitStack() as stack:
        admin, ann, bob = [await rest.register(name) for name in ("Ada", "Ann", "Bob")]
        query(world.settings.database_url, "UPDATE users SET role = 'admin' WHERE id = %s RETURNING id", admin.id)
        sockets: dict[int, list[Socket]] = {}
        for person in (ann, bob):
            sockets[person.id] = []
            for node in nodes:
                socket = await stack.enter_async_context(await Socket.connect(node.socket_url, person.token))
                assert (await socket.join(person.topic))["status"] == "ok"
                sockets[person.id].append(socket)
        yield People(rest, nodes, admin, ann, bob, sockets)


@pytest.mark.parametrize("redis_is_away", [False, True])
async def test_a_ban_closes_the_users_sockets_on_every_node(world: World, people: People, redis_is_away: bool) -> None:
    if redis_is_away:
        world.redis.kill()
    await people.rest.call("PUT", f"/api/users/{people.ann.id}/ban", 200, who=people.admin, body={"reason": "fraud"})
    await people.is_put_out(people.ann)
    await people.can_still_send(people.bob)


@pytest.mark.parametrize("redis_is_away", [False, True])
async def test_a_log_out_closes_the_sockets_of_its_session_on_every_node(
    world: World, people: People, redis_is_away: bool
) -> None:
    ann = people.ann
    answer = await people.rest.call("POST", "/api/login", 200, body={"email": ann.email, "password": PASSWORD})
    other = Person(ann.id, ann.name, ann.email, answer["access_token"], answer["refresh_token"])
    async with await Socket.connect(people.nodes[0].socket_url, other.token) as stays:
        await stays.join(ann.topic)
        if redis_is_away:
            world.redis.kill()
        await people.rest.call("POST", "/api/logout", 204, who=ann)
        await people.is_put_out(ann)
        reply = await stays.push(ann.topic, "send", {"to": ann.id, "message": "another session"})
        assert reply["status"] == "ok"
    await people.can_still_send(people.bob)


@pytest.mark.parametrize("redis_is_away", [False, True])
async def test_a_demoted_moderator_loses_hidden_listings_on_every_node(
    world: World, people: People, redis_is_away: bool
) -> None:
    rest, admin, ann, bob = people.rest, people.admin, people.ann, people.bob
    await rest.call("PUT", f"/api/users/{ann.id}/role", 200, who=admin, body={"role": "moderator"})
    category = await rest.call("POST", "/api/categories", 201, who=ann, body={"name": "Cars", "visibility": "public"})
    body = {"title": "A car", "content": "It runs.", "category_id": category["id"], "visibility": "public"}
    listing = await rest.call("POST", "/api/listings", 201, who=bob, body=body)
    await rest.call("PUT", f"/api/listings/{listing['id']}/hidden", 200, who=ann, body={})
    topic = f"listing:{listing['id']}"
    for socket in people.sockets[ann.id]:
        assert (await socket.join(topic, join_ref="seeing"))["status"] == "ok"
    if redis_is_away:
        world.redis.kill()
    await rest.call("PUT", f"/api/users/{ann.id}/role", 200, who=admin, body={"role": "user"})
    for socket in people.sockets[ann.id]:
        await socket.take(lambda frame: frame[2] == topic and frame[3] == "phx_close")
    # Her other channels stay open.
    await people.can_still_send(ann)
    if not redis_is_away:
        refused = await people.sockets[ann.id][0].join(topic, join_ref="again")
        assert refused == {"status": "error", "response": {"reason": "not found"}}


@pytest.mark.parametrize("redis_is_away", [False, True])
async def test_an_expired_token_closes_its_sockets_unless_the_client_has_sent_a_new_one(
    world: World, people: People, redis_is_away: bool
) -> None:
    bob = people.bob
    short = Tokens(world.settings.jwt_secrets, 600).issue(bob.id, Role.USER, None, seconds=3)
    async with AsyncExitStack() as stack:
        ends = [await stack.enter_async_context(await Socket.connect(n.socket_url, short)) for n in people.nodes]
        renewed = [await stack.enter_async_context(await Socket.connect(n.socket_url, short)) for n in people.nodes]
        for socket in renewed:
            await socket.join(bob.topic)
        if redis_is_away:
            world.redis.kill()
        for socket in renewed:
            assert (await socket.push(bob.topic, "access_token", {"access_token": bob.token}))["status"] == "ok"
        assert [await socket.closed() for socket in ends] == [1001, 1001]
        for socket in renewed:
            assert (await socket.push(bob.topic, "send", {"to": bob.id, "message": "hi"}))["status"] == "ok"
