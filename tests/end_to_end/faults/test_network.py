"""The network between clients and their node stops to forward: both sides notice, and clients go to other nodes."""

from __future__ import annotations

import asyncio

from aiohttp import ClientSession

from tests.end_to_end.faults.conftest import World
from tests.end_to_end.faults.load import Load
from tests.support.processes import Node
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE_SECONDS


async def connections(node: Node) -> int:
    """The number of connections in the node's metrics."""
    async with ClientSession() as client, client.get(node.url + "/metrics") as response:
        text = await response.text()
    return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith("gateway_connections "))


async def test_clients_go_to_another_node_if_theirs_cannot_be_reached(world: World) -> None:
    nodes = await world.gateways(2, IDLE_SECONDS="3")
    async with (
        Proxy(nodes[1].port) as proxy,
        Load(world.settings, [nodes[0].socket_url, proxy.socket_url], rate=200, heartbeat_seconds=1) as load,
    ):
        await load.more_acknowledged(200)
        assert await connections(nodes[1])
        proxy.cut()
        load.addresses = [nodes[0].socket_url]
        # A client of the other node that heard nothing for a second, on a busy machine, has connected again as well.
        await load.until(lambda: sum(user.connects > 1 and user.joined for user in load.users) >= 12)
        await load.more_acknowledged(200)
        reckoning = await load.reckon()
        assert reckoning.received == 2 * reckoning.stored
        # The node closes the old connections, because nothing arrives on them.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await connections(nodes[1]):  # noqa: ASYNC110 (another process's)
                await asyncio.sleep(0.1)


async def test_a_network_that_comes_back_delivers_nothing_twice(world: World) -> None:
    """Messages arrive late, on connections that their clients have given up."""
    nodes = await world.gateways(2)
    async with (
        Proxy(nodes[1].port) as proxy,
        Load(world.settings, [nodes[0].socket_url, proxy.socket_url], rate=200, heartbeat_seconds=1) as load,
    ):
        await load.more_acknowledged(200)
        proxy.cut()
        await load.until(lambda: sum(user.connects > 1 and user.joined for user in load.users) >= 4)
        proxy.mend()
        await load.until_all_joined()
        await load.more_acknowledged(200)
        reckoning = await load.reckon()
        assert reckoning.received == 2 * reckoning.stored
