"""A node acknowledges a message and dies before it has published the message."""

from __future__ import annotations

from tests.end_to_end.faults.conftest import World
from tests.end_to_end.faults.test_order import joined, send
from tests.support.database import add_users
from tests.support.proxy import Proxy


async def test_a_message_that_a_dead_node_has_not_published_reaches_connected_clients(world: World) -> None:
    """The node is cut off from Redis, so it cannot publish; the other node finds the message in Postgres."""
    ann, bob = add_users(world.settings.database_url, 2)
    async with Proxy(world.redis_port) as proxy:
        [other] = await world.gateways(1, NODE_LEASE_SECONDS="1.0")
        [doomed] = await world.gateways(1, REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0", NODE_LEASE_SECONDS="1.0")
        anns, _ = await joined(world, other, ann)
        bobs, _ = await joined(world, doomed, bob)
        async with anns, bobs:
            proxy.cut()
            stored = await send(bobs, bob, ann, "my last words")
            doomed.kill()
            # Ann did not have to connect again.
            assert (await anns.event("send"))["id"] == stored["id"]
