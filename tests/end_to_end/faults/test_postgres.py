"""Postgres is away: a send is soon answered with `try again`, never with a false ok, and can safely be repeated."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack

import pytest

from tests.end_to_end.faults.conftest import World
from tests.end_to_end.faults.load import Load
from tests.end_to_end.faults.sockets import idle_socket
from tests.support.database import add_users
from tests.support.freezing import freeze, thaw
from tests.support.patience import Patience
from tests.support.processes import Node

TRY_AGAIN = {"try again"}


def patience_with(world: World, nodes: list[Node]) -> Patience:
    """How long an answer may take: a timeout for the connection and for each of two queries, and one second more."""
    return Patience(3 * world.settings.database_timeout_seconds + 1.0, {os.getpid(), *(node.pid for node in nodes)})


@pytest.mark.parametrize("how", ["restarted", "killed"])
async def test_postgres_goes_and_comes_back(world: World, how: str) -> None:
    nodes = await world.gateways(2)
    patience = patience_with(world, nodes)
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
        assert load.longest_answer < patience.allowed
        assert all(user.connects == 1 and set(user.errors) <= TRY_AGAIN for user in load.users), load.state()


async def test_postgres_is_frozen(world: World) -> None:
    nodes = await world.gateways(2)
    patience = patience_with(world, nodes)
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
        assert load.longest_answer < patience.allowed
        assert all(user.connects == 1 and set(user.errors) <= TRY_AGAIN for user in load.users), load.state()


async def test_a_node_with_1500_sockets_outlives_two_restarts_of_postgres(world: World) -> None:
    """select() does not work beyond 1,024 file descriptors, so a node must not depend on it."""
    [node] = await world.gateways(1)
    async with AsyncExitStack() as stack:
        # One user may not open so many sockets, so there are 15 users.
        for watcher in add_users(world.settings.database_url, 15):
            opening = [stack.enter_async_context(idle_socket(node, world.settings, watcher)) for _ in range(100)]
            await asyncio.gather(*opening)
        patience = patience_with(world, [node])
        async with Load(world.settings, [node.socket_url]) as load:
            await load.more_acknowledged(100)
            # After the first restart, the node's connections have high descriptors; the second one breaks these.
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
            assert load.longest_answer < patience.allowed
            assert all(user.connects == 1 and set(user.errors) <= TRY_AGAIN for user in load.users), load.state()
