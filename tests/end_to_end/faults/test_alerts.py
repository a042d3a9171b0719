"""Every match arrives once, whatever process is killed, and when."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.end_to_end.faults.conftest import World
from tests.support.client import Person, Rest, Socket
from tests.support.database import query
from tests.support.listings import analysed
from tests.support.waiting import until

KILLS = 12
LISTINGS_A_KILL = 4


def offer(world: World, seller: Person, title: str) -> int:
    """Insert a listing as a request would, while no API may be there to ask."""
    given = analysed(title=title, content="It drives.")
    sql = f"""INSERT INTO listings (seller_id, category_id, {", ".join(given)}) VALUES (%s, 1{", %s" * len(given)})
              RETURNING id"""
    [[listing_id]] = query(world.settings.database_url, sql, seller.id, *given.values())
    return int(listing_id)


async def listening(url: str, who: Person, after_id: int) -> tuple[Socket, list[Any]]:
    """A socket that has joined the person's alerts, and the alerts that the join answered."""
    socket = await Socket.connect(url, who.token)
    answer = await socket.join(f"alerts:{who.id}", {"after_id": after_id})
    assert answer["status"] == "ok", answer
    assert answer["response"]["complete"]
    return socket, answer["response"]["alerts"]


def matches(socket: Socket) -> list[Any]:
    return [frame[4] for frame in socket.frames if frame[3] == "match"]


async def test_each_match_is_told_once_although_apis_are_killed_at_any_moment(world: World) -> None:
    """While one API is killed and started again and again, another listens; the client stays connected all the time."""
    chance = random.Random(7)
    [gateway] = await world.gateways(1)
    api = await world.processes.api()
    async with Rest(api.url) as rest:
        seller, buyer = await rest.register("Sally"), await rest.register("Bob")
        query(world.settings.database_url, "INSERT INTO categories (name) VALUES ('Sedans') RETURNING id")
        await rest.call("POST", "/api/searches", 201, who=buyer, body={"name": "All", "query": {"q": "corolla"}})
    socket, _ = await listening(gateway.socket_url, buyer, 0)
    offered: list[int] = []
    async with socket:
        for kill in range(KILLS):
            for _ in range(LISTINGS_A_KILL):
                offered.append(offer(world, seller, f"Corolla {kill}"))
                await asyncio.sleep(chance.uniform(0, 0.1))
            await asyncio.sleep(chance.uniform(0, 0.3))
            api.kill()
            api = await world.processes.again(api)
        await until(lambda: len(matches(socket)) >= len(offered), 60)
        told = [one["listing_id"] for one in matches(socket)]
        assert sorted(told) == offered
        again, caught_up = await listening(gateway.socket_url, buyer, 0)
        async with again:
            assert sorted(one["listing_id"] for one in caught_up) == offered
        assert len(matches(socket)) == len(offered)


async def test_a_client_whose_gateway_is_killed_catches_up_with_what_it_missed(world: World) -> None:
    first, second = await world.gateways(2)
    api = await world.processes.api()
    async with Rest(api.url) as rest:
        seller, buyer = await rest.register("Sally"), await rest.register("Bob")
        query(world.settings.database_url, "INSERT INTO categories (name) VALUES ('Sedans') RETURNING id")
        await rest.call("POST", "/api/searches", 201, who=buyer, body={"name": "All", "query": {}})
    socket, _ = await listening(first.socket_url, buyer, 0)
    async with socket:
        offered = [offer(world, seller, "One")]
        seen = await socket.event("match")
        first.kill()
        offered += [offer(world, seller, "Two"), offer(world, seller, "Three")]
    other, caught_up = await listening(second.socket_url, buyer, seen["id"])
    async with other:
        await until(lambda: len({one["id"] for one in [seen, *caught_up, *matches(other)]}) == 3, 15)
        got = {one["id"]: one["listing_id"] for one in [seen, *caught_up, *matches(other)]}
        assert sorted(got.values()) == offered


@pytest.mark.parametrize("server", ["postgres", "redis"])
async def test_no_match_is_missed_while_a_server_is_killed_and_started_again(world: World, server: str) -> None:
    """The client may get an alert a second time, with the same id, when what waited for Redis is published."""
    [gateway] = await world.gateways(1)
    api = await world.processes.api()
    async with Rest(api.url) as rest:
        seller, buyer = await rest.register("Sally"), await rest.register("Bob")
        query(world.settings.database_url, "INSERT INTO categories (name) VALUES ('Sedans') RETURNING id")
        await rest.call("POST", "/api/searches", 201, who=buyer, body={"name": "All", "query": {}})
    socket, _ = await listening(gateway.socket_url, buyer, 0)
    offered: list[int] = []
    async with socket:
        for _ in range(3):
            offered += [offer(world, seller, "Before"), offer(world, seller, "Shortly before")]
            killed = world.postgres if server == "postgres" else world.redis
            killed.kill()
            if server == "redis":
                offered.append(offer(world, seller, "Meanwhile"))
            await killed.start()
            offered.append(offer(world, seller, "After"))
        await until(lambda: {one["listing_id"] for one in matches(socket)} == set(offered), 60)
        ids = {one["listing_id"]: one["id"] for one in matches(socket)}
        assert {(one["listing_id"], one["id"]) for one in matches(socket)} == set(ids.items())
        told = query(world.settings.database_url, "SELECT listing_id FROM alerts ORDER BY id")
        assert sorted(row[0] for row in told) == offered
