"""Redis fails in many ways: all sends are answered meanwhile, and connected clients get every message."""

from __future__ import annotations

from contextlib import closing

from redis import Redis

from shared.events.envelope import Envelope, json_payload, pack
from tests.end_to_end.faults.conftest import World
from tests.end_to_end.faults.load import Load, Reckoning
from tests.support.freezing import freeze, thaw
from tests.support.processes import Node


def addresses(nodes: list[Node]) -> list[str]:
    return [node.socket_url for node in nodes]


async def reckon_without_reconnects(load: Load) -> Reckoning:
    """Everyone has received all messages, without an error and without a second connection."""
    reckoning = await load.reckon()
    assert all(user.connects == 1 and not user.errors for user in load.users), load.state()
    assert reckoning.received == 2 * reckoning.stored
    return reckoning


async def test_redis_is_killed_and_started_again(world: World) -> None:
    nodes = await world.gateways(3)
    async with Load(world.settings, addresses(nodes)) as load:
        await load.more_acknowledged(200)
        world.redis.kill()
        await load.more_acknowledged(300)
        await world.redis.start()
        await load.more_acknowledged(200)
        await reckon_without_reconnects(load)


async def test_connected_clients_get_their_messages_while_redis_is_away(world: World) -> None:
    """The node reads them from Postgres, now and then, as long as it hears nothing from the other nodes."""
    nodes = await world.gateways(2)
    async with Load(world.settings, addresses(nodes), rate=100) as load:
        await load.more_acknowledged(100)
        world.redis.kill()
        await load.more_acknowledged(200)
        await reckon_without_reconnects(load)


async def test_redis_is_frozen_for_ten_seconds(world: World) -> None:
    nodes = await world.gateways(2)
    async with Load(world.settings, addresses(nodes), rate=100) as load:
        await load.more_acknowledged(100)
        freeze(world.redis.pid)
        try:
            await load.more_acknowledged(1000)
        finally:
            thaw(world.redis.pid)
        await load.more_acknowledged(100)
        await reckon_without_reconnects(load)


async def test_all_connections_to_redis_are_killed_again_and_again(world: World) -> None:
    nodes = await world.gateways(3)
    with closing(Redis.from_url(world.settings.redis_url)) as client:
        async with Load(world.settings, addresses(nodes), rate=300) as load:
            for _ in range(4):
                await load.more_acknowledged(150)
                killed = [client.client_kill_filter(_type=kind, skipme=True) for kind in ("normal", "pubsub")]
                assert sum(killed) >= 3
            await reckon_without_reconnects(load)


async def test_redis_drops_a_node_that_does_not_keep_up(world: World) -> None:
    """The node is stopped while more is published for it than Redis keeps."""
    nodes = await world.gateways(2)
    noise = pack(Envelope("nobody", "noise", json_payload("x" * 100_000)))
    with closing(Redis.from_url(world.settings.redis_url)) as client:
        async with Load(world.settings, addresses(nodes)) as load:
            # This user is on the second node, like every other user.
            topic = f"{world.settings.redis_prefix}{load.users[1].topic}"
            await load.more_acknowledged(100)
            freeze(nodes[1].pid)
            try:
                await load.more_acknowledged(50)
                while not client.info("stats")["client_output_buffer_limit_disconnections"]:
                    client.publish(topic, noise)
                await load.more_acknowledged(50)
            finally:
                thaw(nodes[1].pid)
            await load.more_acknowledged(100)
            reckoning = await load.reckon()
            assert reckoning.received == 2 * reckoning.stored
            # Users on the stopped node may be told to try again.
            assert all(user.connects == 1 and set(user.errors) <= {"try again"} for user in load.users), load.state()
