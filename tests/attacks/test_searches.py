"""The dearest searches that a visitor can ask for, as many at once as the visitor likes."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.attacks.siege import HABITS, Attack, Siege, answer_to

pytestmark = pytest.mark.asyncio(loop_scope="package")

AT_ONCE = 150
REFUSED_SECONDS = 0.2
"""How long the attacker waits after a refusal."""
DEAR = (
    # Every listing has these words, and none this price: all ways to find them are tried, and all read much.
    {"q": "selling come see offer", "price_min": "900000000", "sort": "price"},
    {"q": "sellin kome zee ofer toyta corola", "sort": "-price", "mileage_max": "1"},
    {"q": "wesfalia moutnain brwon yelow silvr ornage geren blakc whiet beigee lether snroof"},
)


async def test_dear_searches_keep_nobody_waiting(siege: Siege) -> None:
    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        async with siege.client(address) as client:

            async def attack(until: float) -> Counter[str]:
                answers: Counter[str] = Counter()
                queries = itertools.cycle(DEAR)

                async def search() -> None:
                    while asyncio.get_running_loop().time() < until:
                        status = await answer_to(client, "GET", "/api/listings", params=next(queries))
                        answers[status] += 1
                        if status != "200":
                            await asyncio.sleep(REFUSED_SECONDS)

                await asyncio.gather(*(search() for _ in range(AT_ONCE)))
                return answers

            yield attack

    figures = await siege.lay("dear searches", prepare, habits={**HABITS, "search": 0.2})
    assert figures.answers["200"] > 0
