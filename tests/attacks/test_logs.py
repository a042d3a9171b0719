"""Sockets and visitors cause many log lines: crashes, bad frames, bad tokens, paths that do not exist."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.attacks.figures import Bounds
from tests.attacks.flood import Flood, Refused, message
from tests.attacks.siege import CHATS, HABITS, Attack, Siege, answer_to
from tests.gateway.transports.raw_socket import frame
from tests.support.client import Person

pytestmark = pytest.mark.asyncio(loop_scope="package")

VISITORS = 8
CRASHES_A_TURN = 50
BOUNDS = Bounds(lines_per_second=500, log_bytes_per_second=150_000)


async def test_nobody_fills_the_log(siege: Siege) -> None:
    port = siege.deployment.nginx.port

    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        attacker = await siege.register(address)

        async def attack(until: float) -> Counter[str]:
            loop = asyncio.get_running_loop()
            answers: Counter[str] = Counter()

            async def crash() -> None:
                while loop.time() < until:
                    flood = await Flood.connect(port, attacker.token, address)
                    answers["socket of crashes"] += 1
                    while loop.time() < until and not flood.has_ended:
                        await flood.send(*crashes(attacker))
                        await asyncio.sleep(0.02)
                    flood.abort()
                    await asyncio.sleep(0.01)

            async def send_nonsense() -> None:
                while loop.time() < until:
                    flood = await Flood.connect(port, attacker.token, address)
                    answers["bad frame"] += 1
                    await flood.send(frame(b"nonsense"))
                    await asyncio.sleep(0.01)
                    flood.abort()

            async def knock() -> None:
                while loop.time() < until:
                    try:
                        await Flood.connect(port, "no.good.token", address)
                    except Refused as refused:
                        answers[f"bad token {refused.status}"] += 1

            async def visit() -> None:
                async with siege.client(address) as client:
                    for number in itertools.count():
                        if loop.time() >= until:
                            return
                        path = f"/api/nothing{number}" if number % 2 else "/api/me"
                        headers = {} if number % 2 else {"Authorization": "Bearer no.good.token"}
                        answers[f"GET {await answer_to(client, 'GET', path, headers=headers)}"] += 1

            await asyncio.gather(crash(), send_nonsense(), knock(), *(visit() for _ in range(VISITORS)))
            return answers

        yield attack

    figures = await siege.lay("log lines", prepare, habits=HABITS | CHATS, bounds=BOUNDS)
    assert figures.answers["socket of crashes"] > 0


def crashes(person: Person) -> list[bytes]:
    """Joins a topic and sends an event that its channel does not know, again and again."""
    frames = []
    for number in range(CRASHES_A_TURN):
        ref = f"{number}"
        frames.append(message(ref, f"{ref}j", person.topic, "phx_join", {}))
        frames.append(message(ref, f"{ref}e", person.topic, "nothing that it knows", {"text": "x" * 100}))
    return frames
