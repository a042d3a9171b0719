"""A client that joins after the greatest id that it has seen misses no message, in whatever order messages arrive."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg2
import psycopg2.extensions

from development.postgres import ROLE, SUPERUSER
from shared.access.tokens import Tokens
from shared.domain.users import Role
from tests.end_to_end.faults.conftest import World
from tests.support.client import Socket
from tests.support.database import add_users, query
from tests.support.freezing import freeze, thaw
from tests.support.processes import Node
from tests.support.waiting import PATIENCE_SECONDS

INSERT = "INSERT INTO messages (from_id, to_id, text) VALUES (%s, %s, %s) RETURNING id"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%messages%%'"


async def joined(world: World, node: Node, user_id: int, after_id: int = 0) -> tuple[Socket, list[dict[str, Any]]]:
    """A socket that has joined the user's own topic, and the missed messages in the answer to the join."""
    token = Tokens(world.settings.jwt_secrets, 600).issue(user_id, Role.USER, None)
    socket = await Socket.connect(node.socket_url, token)
    answer = await socket.join(f"private_chat:{user_id}", {"after_id": after_id})
    assert answer["status"] == "ok", answer
    assert answer["response"]["complete"] is True
    return socket, answer["response"]["messages"]


async def send(socket: Socket, sender: int, to: int, text: str) -> dict[str, Any]:
    reply = await socket.push(f"private_chat:{sender}", "send", {"to": to, "message": text})
    assert reply["status"] == "ok", reply
    response: dict[str, Any] = reply["response"]
    return response


def transaction(world: World, role: str = ROLE) -> psycopg2.extensions.connection:
    return psycopg2.connect(world.postgres.url(role=role))


async def test_a_higher_id_is_not_drawn_before_the_lower_one_has_committed(world: World) -> None:
    [node] = await world.gateways(1)
    ann, bob = add_users(world.settings.database_url, 2)
    anns, _ = await joined(world, node, ann)
    first = transaction(world)
    async with anns:
        with first.cursor() as cursor:
            cursor.execute(INSERT, (bob, ann, "the lower id"))
            [(lower,)] = cursor.fetchall()
        sending = asyncio.create_task(send(anns, ann, bob, "the higher id"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not query(world.settings.database_url, WAITING)[0][0]:  # noqa: ASYNC110 (another process's)
                await asyncio.sleep(0.01)
        # The higher id waits for the lower one, so no client can have seen it yet.
        assert not sending.done()
        catching_up, missed = await joined(world, node, ann)
        await catching_up.close()
        assert missed == []
        first.commit()
        first.close()
        higher = (await sending)["id"]
    assert lower < higher
    back, missed = await joined(world, node, ann, after_id=higher)
    await back.close()
    assert [message["id"] for message in missed] == [lower, higher]


async def test_a_join_catches_up_a_lower_id_that_committed_after_a_higher_one_was_seen(world: World) -> None:
    """The transaction switches off the trigger that prevents this order. A restored replica could do the same."""
    [node] = await world.gateways(1)
    ann, bob = add_users(world.settings.database_url, 2)
    anns, _ = await joined(world, node, ann)
    first = transaction(world, SUPERUSER)
    async with anns:
        with first.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(INSERT, (bob, ann, "the lower id"))
            [(lower,)] = cursor.fetchall()
        higher = (await send(anns, ann, bob, "the higher id"))["id"]
        assert (await anns.event("send"))["id"] == higher
    first.commit()
    first.close()
    assert lower < higher
    back, missed = await joined(world, node, ann, after_id=higher)
    await back.close()
    assert [message["id"] for message in missed] == [lower, higher]


async def test_a_join_catches_up_an_overtaken_message_which_then_arrives_once_more(world: World) -> None:
    """Redis is frozen, so another node's broadcasts wait in it, while this node's own broadcasts arrive."""
    here, there = await world.gateways(2)
    ann, bob, cat = add_users(world.settings.database_url, 3)
    phone, _ = await joined(world, here, ann)
    laptop, _ = await joined(world, here, ann)
    bobs, _ = await joined(world, here, bob)
    cats, _ = await joined(world, there, cat)
    async with phone, laptop, bobs, cats:
        freeze(world.redis.pid)
        try:
            lower = (await send(cats, cat, ann, "from far away"))["id"]
            higher = (await send(bobs, bob, ann, "from near by"))["id"]
            assert lower < higher
            assert (await phone.event("send"))["id"] == higher
            await phone.close()
            # This join does not wait for Redis, because the laptop has the topic subscribed already.
            back, missed = await joined(world, here, ann, after_id=higher)
            assert [message["id"] for message in missed] == [lower, higher]
        finally:
            thaw(world.redis.pid)
        async with back:
            assert [(await laptop.event("send"))["id"] for _ in range(2)] == [higher, lower]
            assert (await back.event("send"))["id"] == lower
