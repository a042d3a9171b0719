"""A message is acknowledged, and then its node dies before anybody else has heard of it."""

from __future__ import annotations

from tests.end_to_end.faults.conftest import World
from tests.end_to_end.faults.load import add_users
from tests.end_to_end.faults.proxy import Proxy
from tests.end_to_end.faults.test_order import joined, send


async def test_what_a_dead_node_had_no_time_to_publish_reaches_connected_clients(world: World) -> None:
    """Its way to Redis is cut, so that the broadcast gets nowhere; the other node finds the message in Postgres."""
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
            # The same connection all the time.
            assert (await anns.event("send"))["id"] == stored["id"]
