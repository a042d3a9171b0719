"""Bodies that never end are kept by nobody, or only as far as their route allows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.attacks.figures import MEBIBYTE, Bounds
from tests.attacks.siege import CHATS, HABITS, Attack, Siege, bearer, hold
from tests.deployment.raw import Raw, raw

pytestmark = pytest.mark.asyncio(loop_scope="package")

LARGE, SMALL, PICTURES = 25, 50, 25
"""How many bodies of each size are begun."""
LARGE_BYTES = 10_900_000
SMALL_BYTES = 1_000_000
KEPT_BYTES = 1_100 * 1024
"""The most that nginx keeps of a body."""


async def test_bodies_that_never_end_cost_little_memory(siege: Siege) -> None:
    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        attacker = await siege.register(address)
        listing_id = await siege.listing(attacker, address)
        body = bytes(LARGE_BYTES)
        picture = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n' + body[:MEBIBYTE]
        login = "POST /api/login HTTP/1.1"
        token = f"Authorization: {bearer(attacker)['Authorization']}"
        upload = [f"POST /api/listings/{listing_id}/pictures HTTP/1.1", token]
        upload.append("Content-Type: multipart/form-data; boundary=x")

        async def attack(until: float) -> Counter[str]:
            async with AsyncExitStack() as stack:

                async def begin(head: list[str], length: int, sent: bytes) -> Raw:
                    connection = await stack.enter_async_context(raw(siege.deployment.nginx, address))
                    await connection.send([*head, f"Content-Length: {length}"], sent)
                    return connection

                connections = await asyncio.gather(
                    *(begin([login], LARGE_BYTES, body[:-1]) for _ in range(LARGE)),
                    *(begin([login], SMALL_BYTES, body[: SMALL_BYTES - 1]) for _ in range(SMALL)),
                    *(begin(upload, LARGE_BYTES, picture) for _ in range(PICTURES)),
                )
                await hold(until)
                answered = sum(connection.is_answered for connection in connections)
                return Counter(answered=answered, waiting=len(connections) - answered)

        yield attack

    bounds = Bounds(file_bytes=SMALL * KEPT_BYTES)
    await siege.lay("bodies that never end", prepare, habits=HABITS | CHATS, bounds=bounds)
