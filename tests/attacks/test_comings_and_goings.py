"""One socket joins and leaves a listing without end, which would make two presence diffs each time for every viewer."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.attacks.flood import joined, message
from tests.attacks.siege import CHATS, HABITS, Attack, Siege

pytestmark = pytest.mark.asyncio(loop_scope="package")

VIEWERS = 150
COMERS = 2
PAUSE_SECONDS = 0.004
PAIRS = 2
"""How often the attacker joins and leaves between two pauses."""


async def test_coming_and_going_makes_few_diffs_and_keeps_nobody_waiting(siege: Siege) -> None:
    settings, port = siege.deployment.settings, siege.deployment.nginx.port
    diffs_of_a_viewer = 0.0

    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        attacker, viewer = await siege.register(address), await siege.register(address)
        topic = f"listing:{await siege.listing(viewer, address, visibility='public')}"
        async with (
            joined(VIEWERS, port, viewer.token, address, [topic], counted=b'"presence_diff"') as viewers,
            joined(COMERS, port, attacker.token, address, []) as comers,
        ):

            async def come_and_go(number: int, until: float) -> int:
                for turn in itertools.count():
                    if asyncio.get_running_loop().time() >= until:
                        return turn * PAIRS
                    for ref in (f"{turn}.{pair}" for pair in range(PAIRS)):
                        join = message(ref, f"{ref}j", topic, "phx_join", {})
                        await comers[number].send(join, message(ref, f"{ref}l", topic, "phx_leave", {}))
                    await asyncio.sleep(PAUSE_SECONDS)
                raise AssertionError

            async def attack(until: float) -> Counter[str]:
                nonlocal diffs_of_a_viewer
                for one in viewers:
                    one.count(b'"presence_diff"')
                pairs = await asyncio.gather(*(come_and_go(number, until) for number in range(COMERS)))
                diffs = sum(one.found for one in viewers)
                diffs_of_a_viewer = diffs / VIEWERS
                return Counter({"join+leave": sum(pairs), "diff to viewers": diffs})

            yield attack

    figures = await siege.lay("coming and going", prepare, habits=HABITS | CHATS)
    # Each node bounds the diffs to its members; those of the other node's members may come one by one.
    bound = settings.presence_diff_burst + settings.presence_diffs_per_second * figures.seconds + 2
    assert diffs_of_a_viewer <= bound
