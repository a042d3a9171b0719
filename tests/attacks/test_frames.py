"""Large frames, and small frames whose answers are large, as many as the sockets of one user take."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.attacks.flood import joined, message
from tests.attacks.siege import CHATS, HABITS, Attack, Siege, bearer

pytestmark = pytest.mark.asyncio(loop_scope="package")

SOCKETS = 4
HEARTBEAT_BYTES = 450_000
MESSAGES = 200
"""As many as the answer to a join has at most."""
MESSAGE = "0123456789" * 200


async def test_large_heartbeats_keep_nobody_waiting(siege: Siege) -> None:
    port = siege.deployment.nginx.port

    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        attacker = await siege.register(address)
        beat = message(None, "1", "phoenix", "heartbeat", {"text": "x" * HEARTBEAT_BYTES})
        async with joined(SOCKETS, port, attacker.token, address, []) as floods:

            async def attack(until: float) -> Counter[str]:
                for flood in floods:
                    flood.count(b"phx_reply")

                async def send(number: int) -> None:
                    flood = floods[number]
                    while asyncio.get_running_loop().time() < until and not flood.has_ended:
                        try:
                            async with asyncio.timeout_at(until):
                                await flood.send(beat)
                        except TimeoutError:
                            return
                        await asyncio.sleep(0)

                await asyncio.gather(*(send(number) for number in range(SOCKETS)))
                return Counter({"heartbeat answered": sum(flood.found for flood in floods)})

            yield attack

    figures = await siege.lay("large heartbeats", prepare, habits=HABITS | CHATS)
    settings = siege.deployment.settings
    # Each of the two nodes has a budget of its own for the user. What came while it was full counts once it is spent.
    bound = 2 * settings.bytes_per_second * (2 * settings.traffic_burst_seconds + figures.seconds)
    assert 0 < figures.answers["heartbeat answered"] * HEARTBEAT_BYTES <= bound + 2 * SOCKETS * HEARTBEAT_BYTES


async def test_small_joins_with_large_answers_keep_nobody_waiting(siege: Siege) -> None:
    port = siege.deployment.nginx.port

    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        attacker, friend = await siege.register(address), await siege.register(address)
        async with siege.client(address) as client:
            body = {"to": str(friend.id), "message": MESSAGE}
            for _ in range(MESSAGES):
                async with client.post("/api/messages", json=body, headers=bearer(attacker)) as response:
                    assert response.status == 201
        async with joined(SOCKETS, port, attacker.token, address, []) as floods:

            async def attack(until: float) -> Counter[str]:
                before = sum(flood.received for flood in floods)
                for flood in floods:
                    flood.count(b'"complete"')

                async def send(number: int) -> None:
                    flood = floods[number]
                    for turn in map(str, itertools.count()):
                        if asyncio.get_running_loop().time() >= until or flood.has_ended:
                            return
                        await flood.send(message(turn, f"{turn}j", attacker.topic, "phx_join", {"after_id": 0}))
                        await asyncio.sleep(0.002)

                await asyncio.gather(*(send(number) for number in range(SOCKETS)))
                received = sum(flood.received for flood in floods) - before
                answered = sum(flood.found for flood in floods)
                return Counter({"join answered": answered, "MB received": received // 1_000_000})

            yield attack

    figures = await siege.lay("joins with large answers", prepare, habits=HABITS | CHATS)
    assert figures.answers["join answered"] > 0
