"""Private chat on a Redis Cluster of three masters with a replica each. Only the URL is different."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.faults.conftest import World
from tests.end_to_end.faults.load import Load
from tests.support.cluster import ClusterServers, running_cluster


@pytest.fixture
def cluster() -> Iterator[ClusterServers]:
    with running_cluster() as servers:
        yield servers


async def test_four_nodes_chat_while_a_master_is_killed_and_failed_over(cluster: ClusterServers, world: World) -> None:
    nodes = await world.gateways(4, REDIS_URL=cluster.url)
    async with Load(world.settings, [node.socket_url for node in nodes], rate=100) as load:
        await load.more_acknowledged(300)
        cluster.masters[1].kill()
        await load.more_acknowledged(600)
        reckoning = await load.reckon()
        assert all(user.connects == 1 and not user.errors for user in load.users), load.state()
        assert reckoning.received == 2 * reckoning.stored
