"""Postgres goes away: a send is answered `try again` in time, never with a false ok, and repeating it is safe."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.end_to_end.faults.conftest import World, freeze, thaw
from tests.end_to_end.faults.load import Load, add_users
from tests.end_to_end.faults.sockets import idle_socket

SETTLED = {"try again"}


def in_time(world: World) -> float:
    """Seconds in which a send is answered, whatever the answer: for a connection, two trips, and a busy machine."""
    return 3 * world.settings.database_timeout_seconds + 1.0


@pytest.mark.parametrize("how", ["restarted", "killed"])
async def test_postgres_goes_and_comes_back(world: World, how: str) -> None:
    nodes = await world.gateways(2)
    async with Load(world.settings, [node.socket_url for node in nodes]) as load:
        await load.more_acknowledged(200)
        if how == "killed":
            world.postgres.kill()
        else:
            await world.postgres.stop()
        await load.until_failing(50)
        await world.postgres.start()
        await load.more_acknowledged(200)
        reckoning = await load.reckon()
        assert reckoning.received == 2 * reckoning.stored
        assert load.longest_answer < in_time(world)
        assert all(user.connects == 1 and set(user.errors) <= SETTLED for user in load.users), load.state()


async def test_postgres_is_frozen(world: World) -> None:
    nodes = await world.gateways(2)
    async with Load(world.settings, [node.socket_url for node in nodes], rate=100) as load:
        await load.more_acknowledged(100)
        freeze(world.postgres.pid)
        try:
            await load.until_failing(60)
        finally:
            thaw(world.postgres.pid)
        await load.more_acknowledged(200)
        reckoning = await load.reckon()
        assert reckoning.received == 2 * reckoning.stored
        assert load.longest_answer < in_time(world)
        assert all(user.connects == 1 and set(user.errors) <= SETTLED for user in load.users), load.state()


async def test_a_node_with_1500_sockets_outlives_two_restarts_of_postgres(world: World) -> None:
    """Beyond 1,024 descriptors select() does not work any more: nothing that a node does may depend on it."""
    [node] = await world.gateways(1)
    async with AsyncExitStack() as stack:
        # More than one user may open.
        for watcher in add_users(world.settings.database_url, 15):
            opening = [stack.enter_async_context(idle_socket(node, world.settings, watcher)) for _ in range(100)]
            await asyncio.gather(*opening)
        async with Load(world.settings, [node.socket_url]) as load:
            await load.more_acknowledged(100)
            # The first restart has the node open connections with high numbers; the second one breaks those.
            for _ in range(2):
                await world.postgres.stop()
                await load.until_failing(50)
                await world.postgres.start()
                await load.more_acknowledged(100)
            freeze(world.postgres.pid)
            try:
                await load.until_failing(100)
            finally:
                thaw(world.postgres.pid)
            reckoning = await load.reckon()
            assert reckoning.received == 2 * reckoning.stored
            assert load.longest_answer < in_time(world)
            assert all(user.connects == 1 and set(user.errors) <= SETTLED for user in load.users), load.state()
