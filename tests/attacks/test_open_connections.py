"""Connections that one address opens and keeps: heads that never end, and sockets that nobody uses."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.attacks.flood import Flood, Refused
from tests.attacks.siege import CHATS, HABITS, Attack, Siege, hold
from tests.deployment.raw import raw

pytestmark = pytest.mark.asyncio(loop_scope="package")

SLOW_HEADS = 500
TRICKLE_SECONDS = 0.5
HEAD_SECONDS = 15.0
"""nginx closes a connection whose request has no complete head after this time (deploy/nginx/nginx.conf)."""
MOST_SOCKETS = 1000
"""Sockets that nginx lets one address have (deploy/nginx/nginx.conf)."""
LATE_SECONDS = 2.0
SOCKETS = 1200
AT_ONCE = 50


async def test_heads_that_never_end_keep_nobody_waiting_and_are_cut_off(siege: Siege) -> None:
    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        async def attack(until: float) -> Counter[str]:
            loop = asyncio.get_running_loop()
            async with AsyncExitStack() as stack:
                heads = [
                    await stack.enter_async_context(raw(siege.deployment.nginx, address)) for _ in range(SLOW_HEADS)
                ]
                # The time for the last head begins now.
                until = max(until, loop.time() + HEAD_SECONDS + LATE_SECONDS)
                for head in heads:
                    head.writer.write(b"GET /api/listings HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
                while loop.time() < until:
                    for head in heads:
                        head.writer.write(b"x")
                    await asyncio.sleep(TRICKLE_SECONDS)
                cut_off = sum(head.has_ended or head.is_answered for head in heads)
                return Counter({"cut off": cut_off})

        yield attack

    figures = await siege.lay("heads that never end", prepare, habits=HABITS | CHATS)
    assert figures.answers["cut off"] == SLOW_HEADS


async def test_one_address_has_only_so_many_sockets_and_others_get_theirs(siege: Siege) -> None:
    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        attacker = await siege.register(address)
        opened: list[Flood] = []

        async def attack(until: float) -> Counter[str]:
            answers: Counter[str] = Counter()
            limit = asyncio.Semaphore(AT_ONCE)

            async def open_one() -> None:
                async with limit:
                    try:
                        opened.append(await Flood.connect(siege.deployment.nginx.port, attacker.token, address))
                        answers["101"] += 1
                    except Refused as refused:
                        answers[str(refused.status)] += 1

            await asyncio.gather(*(open_one() for _ in range(SOCKETS)))
            await hold(until)
            return answers

        try:
            yield attack
        finally:
            for flood in opened:
                flood.abort()

    figures = await siege.lay("sockets of one address", prepare, habits=HABITS | CHATS)
    assert 0 < figures.answers["101"] <= MOST_SOCKETS
    assert figures.answers["101"] + figures.answers["429"] == SOCKETS
