"""Two accounts fill the vocabulary with words that they have made up, and take their listings away again."""

from __future__ import annotations

import asyncio
import string
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.postgres import Database, Statement
from shared.repositories.vocabulary import MAX_WORDS_OF_A_LISTING, rebuild_vocabulary
from tests.attacks.siege import HABITS, Attack, Siege, bearer
from tests.support.client import Person

pytestmark = pytest.mark.asyncio(loop_scope="package")

LISTINGS = 60
"""Of each account."""
AT_ONCE = 4
AGE = Statement("", "UPDATE users SET created_at = created_at - interval '1 year' WHERE id = ANY (%s)")
WORDS = 11
"""Words that fit into a title."""
OURS = Statement("", "SELECT count(*) FROM vocabulary WHERE starts_with(word, 'zq')")


def made_up(number: int) -> str:
    """A word that nobody else has; it has no digits, because only words without them are corrected."""
    letters = ""
    for _ in range(4):
        number, letter = divmod(number, 26)
        letters += string.ascii_lowercase[letter]
    return f"zq{letters}"


async def test_made_up_words_are_few_and_do_not_stay_and_searches_cost_what_they_did(siege: Siege) -> None:
    words: dict[str, int] = {}
    database = Database(siege.deployment.settings)

    async def rebuild(when: str) -> None:
        """Do at once what one of the APIs does every few minutes."""
        async with database.transaction() as transaction:
            await rebuild_vocabulary(transaction)
        row = await database.fetch_one(OURS)
        assert row is not None
        words[when] = row[0]

    @asynccontextmanager
    async def prepare(address: str) -> AsyncIterator[Attack]:
        sellers = [await siege.register(address) for _ in range(2)]
        # A new account makes fewer listings in a day.
        await database.execute(AGE, [seller.id for seller in sellers])
        async with siege.client(address) as client, client.get("/api/categories") as response:
            categories = (await response.json())["data"]
        category_id = next(one["id"] for one in categories if one["visibility"] == "public")

        async with siege.client(address) as client:

            async def attack(until: float) -> Counter[str]:
                answers: Counter[str] = Counter()
                limit = asyncio.Semaphore(AT_ONCE)

                async def call(method: str, path: str, who: Person, **body: object) -> str:
                    async with limit, client.request(method, path, json=body or None, headers=bearer(who)) as response:
                        answers[f"{method} {response.status}"] += 1
                        return str((await response.json()).get("id", "")) if response.status == 201 else ""

                async def offer(number: int, seller: Person) -> tuple[str, Person]:
                    title = " ".join(made_up(number * WORDS + word) for word in range(WORDS))
                    body = {"title": title, "content": "It drives.", "visibility": "public", "category_id": category_id}
                    return await call("POST", "/api/listings", seller, **body), seller

                offered = await asyncio.gather(
                    *(offer(number, seller) for number in range(LISTINGS) for seller in sellers)
                )
                await rebuild("while listed")
                await asyncio.sleep(max(1.0, until - asyncio.get_running_loop().time()))
                await asyncio.gather(*(call("DELETE", f"/api/listings/{one}", who) for one, who in offered if one))
                await rebuild("after")
                return answers

            yield attack

    try:
        figures = await siege.lay(
            "made-up words", prepare, habits={**HABITS, "search": 0.15}, search="toyta corola", notes=words
        )
    finally:
        await database.close()
    assert figures.answers["POST 201"] > LISTINGS
    assert words["while listed"] <= LISTINGS * MAX_WORDS_OF_A_LISTING
    assert words["after"] == 0
