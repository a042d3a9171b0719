"""Many slow readers, none of whom is past its own limit, are held to one that all of them share."""

from __future__ import annotations

import asyncio

from gateway.channel import Channel, JoinResult, Ok
from gateway.protocol.close_codes import SLOW
from shared.settings import Settings
from tests.gateway.counted import counted
from tests.gateway.nodes import SOON, Client
from tests.gateway.runtime.conftest import Start


class Room(Channel):
    async def join(self, topic: str, params: object) -> JoinResult:
        return Ok()


async def test_those_for_whom_most_is_waiting_are_closed_until_the_rest_fits(start: Start) -> None:
    # How often connections are looked at goes by the idle time.
    node = await start(Room, settings=Settings(max_total_outbox_bytes=1000, idle_seconds=0.04))
    sizes = [0, 300, 100, 500, 400, 350]
    clients = [Client(node, user_id) for user_id in range(len(sizes))]
    for client, size in zip(clients, sizes, strict=True):
        client.outbox_bytes = size
    async with asyncio.timeout(SOON):
        while not counted(node.counts.closes):  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.001)
    assert [client.close_code for client in clients] == [None, None, None, 1013, 1013, None]
    assert counted(node.counts.closes) == {SLOW.reason: 2}
