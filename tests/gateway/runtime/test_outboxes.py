"""All outboxes of a node together have a limit, besides the limit of each."""

from __future__ import annotations

from gateway.channel import Channel, JoinResult, Ok
from gateway.protocol.close_codes import SLOW
from shared.settings import Settings
from tests.gateway.counted import counted
from tests.gateway.nodes import Client
from tests.gateway.runtime.conftest import Start
from tests.support.waiting import until


class Room(Channel):
    async def join(self, topic: str, params: object) -> JoinResult:
        return Ok()


async def test_past_the_shared_limit_the_connections_with_the_largest_outboxes_are_closed(start: Start) -> None:
    # The node checks its connections at intervals that follow from the idle time.
    node = await start(Room, settings=Settings(max_total_outbox_bytes=1000, idle_seconds=0.04))
    sizes = [0, 300, 100, 500, 400, 350]
    clients = [Client(node, user_id) for user_id in range(len(sizes))]
    for client, size in zip(clients, sizes, strict=True):
        client.outbox_bytes = size
    await until(lambda: bool(counted(node.counts.closes)))
    assert [client.close_code for client in clients] == [None, None, None, 1013, 1013, None]
    assert counted(node.counts.closes) == {SLOW.reason: 2}
