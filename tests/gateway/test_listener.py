"""Tests that connections which wait for the node are accepted in few turns of its loop."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

import uvloop

from gateway.listener import ACCEPTED_AT_ONCE, BACKLOG
from shared.pubsub.memory import MemoryBroker
from shared.settings import Settings
from tests.lab.__main__ import LabAdmission
from tests.lab.listening import serve
from tests.lab.node import lab_node
from tests.support.secret import JWT_SECRET

WAITING = 64


async def turns_until_all_are_accepted() -> int:
    endpoint = lab_node(Settings(jwt_secrets=(JWT_SECRET,)), MemoryBroker())
    await endpoint.start()
    served = await serve(endpoint, LabAdmission(JWT_SECRET))
    try:
        with ExitStack() as clients:
            # The system completes these connections while the loop stands still.
            for _ in range(WAITING):
                clients.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=10))
            turns = 0
            while served.listener.connections < WAITING:
                await asyncio.sleep(0)
                turns += 1
                assert turns < 100 * WAITING
            return turns
    finally:
        await served.stop()
        await endpoint.stop()


def test_many_waiting_connections_are_accepted_in_each_turn_of_the_loop() -> None:
    assert WAITING < BACKLOG
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        turns = runner.run(turns_until_all_are_accepted())
    # A few turns go by before the first is accepted, and between accepting and `connection_made`.
    assert turns <= WAITING // ACCEPTED_AT_ONCE + 10
