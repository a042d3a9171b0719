"""Bodies of fields that nobody knows are refused before they cost much."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.attacks.siege import CHATS, HABITS, Attack, Siege, bearer

pytestmark = pytest.mark.asyncio(loop_scope="package")

AT_ONCE = 3
SIZES = (120_000, 930_000)
"""A body that the API reads, and one of a size that only pictures may have."""
LONGEST_ANSWER = 4096


def unknown_fields(size: int) -> bytes:
    """A JSON object of about this many bytes. None of its fields is in any schema."""
    fields: list[str] = []
    length = 0
    for number in itertools.count():
        fields.append(f'"{number}":0')
        length += len(fields[-1]) + 1
        if length >= size:
            return f"{{{','.join(fields)}}}".encode()
    raise AssertionError


async def test_bodies_of_unknown_fields_keep_nobody_waiting(siege: Siege) -> None:
    longest = 0

    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        attacker = await siege.register(address)
        headers = {**bearer(attacker), "Content-Type": "application/json"}
        bodies = [unknown_fields(size) for size in SIZES]
        async with siege.client(address) as client:

            async def attack(until: float) -> Counter[str]:
                answers: Counter[str] = Counter()

                async def send() -> None:
                    nonlocal longest
                    for body in itertools.cycle(bodies):
                        if asyncio.get_running_loop().time() >= until:
                            return
                        try:
                            async with client.post("/api/messages", data=body, headers=headers) as response:
                                longest = max(longest, len(await response.read()))
                                answers[str(response.status)] += 1
                        except aiohttp.ClientError:
                            # It was refused before all of it was sent.
                            answers["cut off"] += 1

                await asyncio.gather(*(send() for _ in range(AT_ONCE)))
                return answers

            yield attack

    figures = await siege.lay("bodies of unknown fields", prepare, habits=HABITS | CHATS)
    assert figures.answers["422"] > 0
    assert longest <= LONGEST_ANSWER
