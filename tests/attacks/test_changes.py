"""Changes of a listing that many look at, and a gap in which a node has to look again at all that its members see."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.attacks.flood import joined
from tests.attacks.siege import CHATS, HABITS, Attack, Siege, bearer, hold

pytestmark = pytest.mark.asyncio(loop_scope="package")

VIEWERS = 300
CHANGES_PER_SECOND = 10
MEMBERS, LISTINGS = 60, 100
"""Sockets of one user, and the listings that each of them has joined: a page of them."""
NOTICED_SECONDS = 6.0
"""Within this time the other nodes have noticed that one has died, and have read what they may have missed."""


async def test_changes_of_a_listing_with_many_viewers_keep_nobody_waiting(siege: Siege) -> None:
    port = siege.deployment.nginx.port

    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        attacker = await siege.register(address)
        listing_id = await siege.listing(attacker, address, visibility="public")
        async with (
            joined(VIEWERS, port, attacker.token, address, [f"listing:{listing_id}"]) as viewers,
            siege.client(address) as client,
        ):

            async def attack(until: float) -> Counter[str]:
                answers: Counter[str] = Counter()
                for viewer in viewers:
                    viewer.count(b'"listing_updated"')
                for price in itertools.count(1):
                    if asyncio.get_running_loop().time() >= until:
                        break
                    path, body = f"/api/listings/{listing_id}", {"price": price}
                    async with client.patch(path, json=body, headers=bearer(attacker)) as response:
                        answers[f"PATCH {response.status}"] += 1
                    await asyncio.sleep(1 / CHANGES_PER_SECOND)
                answers["told to viewers"] = sum(viewer.found for viewer in viewers)
                return answers

            yield attack

    figures = await siege.lay("changes with many viewers", prepare, habits=HABITS | CHATS)
    assert figures.answers["PATCH 200"] > 0
    assert figures.answers["told to viewers"] > 0


async def test_a_gap_of_many_members_keeps_nobody_waiting(siege: Siege) -> None:
    deployment = siege.deployment
    survivor = deployment.gateways[0]

    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        attacker = await siege.register(address)
        async with (
            siege.client(address) as client,
            client.get("/api/listings", params={"limit": str(LISTINGS)}) as response,
        ):
            ids = [one["id"] for one in (await response.json())["data"]]
        topics = [f"listing:{listing_id}" for listing_id in ids]
        async with joined(MEMBERS, survivor.port, attacker.token, address, topics) as members:

            async def attack(until: float) -> Counter[str]:
                deployment.gateways[1].kill()
                await hold(until)
                return Counter({"member left": sum(not member.has_ended for member in members)})

            try:
                yield attack
            finally:
                if not deployment.gateways[1].is_running:
                    await deployment.start_gateway(1)

    figures = await siege.lay(
        "a gap of many members",
        prepare,
        habits=HABITS | CHATS,
        socket_url=survivor.socket_url,
        seconds=NOTICED_SECONDS,
    )
    assert figures.answers["member left"] == MEMBERS
