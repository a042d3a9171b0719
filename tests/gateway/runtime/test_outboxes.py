"""All outboxes of a node together have a limit, besides the limit of each."""

from __future__ import annotations

import asyncio

from gateway.channel import Channel, JoinResult, Ok
from gateway.protocol.close_codes import DISCONNECTED, SLOW
from gateway.runtime.roster import SLICES
from shared.settings import Settings
from tests.gateway.counted import counted
from tests.gateway.nodes import Client
from tests.gateway.runtime.conftest import Start
from tests.support.waiting import until

UNREAD_BYTES = 600


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


class Leaving:
    """What is left of a closed connection whose client does not read."""

    unread_bytes = UNREAD_BYTES

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.was_cut = False

    def cut(self) -> None:
        self.was_cut = True


class Rounds(Client):
    """Counts the rounds of checks."""

    checks = 0

    def check(self, now: float) -> None:
        super().check(now)
        self.checks += 1


class LeavesInTheRound(Client):
    """Is closed in the middle of a round of checks, after its outbox was looked at and before they are added up."""

    def check(self, now: float) -> None:
        super().check(now)
        self.outbox_bytes = UNREAD_BYTES
        asyncio.get_running_loop().call_soon(self.leave)

    def leave(self) -> None:
        self.close(DISCONNECTED)
        self.endpoint.connections.farewell(Leaving())


async def test_a_connection_that_is_closed_while_outboxes_are_added_up_counts_once(start: Start) -> None:
    settings = Settings(max_total_outbox_bytes=UNREAD_BYTES, idle_seconds=0.04)
    node = await start(Room, settings=settings)
    # A connection is checked in the slice of its number: this one long before the end of the round.
    while node.connections.next_number() % SLICES != 2:
        pass
    LeavesInTheRound(node)
    rounds = Rounds(node, 2)
    await until(lambda: rounds.checks >= 3)
    (leaving,) = node.connections._leaving
    assert isinstance(leaving, Leaving)
    assert not leaving.was_cut
