"""A gateway node is killed or drained under load: its users go on at other nodes and miss no message."""

from __future__ import annotations

import signal

from tests.end_to_end.faults.conftest import World
from tests.end_to_end.faults.load import Load


async def test_a_node_of_three_is_killed_under_load(world: World) -> None:
    nodes = await world.gateways(3)
    async with Load(world.settings, [node.socket_url for node in nodes], rate=300) as load:
        await load.more_acknowledged(200)
        nodes[1].kill()
        await load.until(lambda: sum(user.connects > 1 and user.joined for user in load.users) == 8)
        await load.more_acknowledged(300)
        reckoning = await load.reckon()
    assert reckoning.received == 2 * reckoning.stored


async def test_a_node_of_three_drains_under_load(world: World) -> None:
    nodes = await world.gateways(3)
    async with Load(world.settings, [node.socket_url for node in nodes], rate=300) as load:
        await load.more_acknowledged(200)
        nodes[1].signal(signal.SIGTERM)
        await load.until(lambda: sum(user.connects > 1 and user.joined for user in load.users) == 8)
        assert await nodes[1].ended() == 0
        assert {code for user in load.users for code in user.close_codes} == {1012}
        await load.more_acknowledged(300)
        reckoning = await load.reckon()
        # Each send that had reached the node was answered before its connection closed.
        assert not any(user.errors for user in load.users)
    assert reckoning.received == 2 * reckoning.stored
