"""The vocabulary has only words that all visitors can read, of at least two sellers; its size is bounded."""

from __future__ import annotations

import asyncio
import string
from contextlib import closing
from dataclasses import replace

import psycopg2
import pytest

from shared.postgres import Database, Statement, Transaction
from shared.postgres.schema import apply_schema
from shared.repositories import vocabulary
from shared.repositories.chores import ChoreRepository
from shared.repositories.vocabulary import rebuild_vocabulary
from shared.settings import Settings
from tests.support.listings import analysed
from tests.support.roles import as_owner


class Words:
    """Inserts listings by their titles, and rebuilds and reads the vocabulary."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def run(self, sql: str, *parameters: object) -> int:
        return await self.database.execute(Statement("", sql), *parameters)

    async def listing(self, title: str, seller_id: int = 1, **columns: str) -> int:
        given = analysed(title=title, content="Described.", **columns)
        sql = f"""INSERT INTO listings (seller_id, category_id, {", ".join(given)})
                  VALUES (%s, 1{", %s" * len(given)}) RETURNING id"""
        [[listing_id]] = await self.database.fetch(Statement("", sql), seller_id, *given.values())
        return int(listing_id)

    async def known(self) -> dict[str, int]:
        async with self.database.transaction() as transaction:
            await rebuild_vocabulary(transaction)
        rows = await self.database.fetch(Statement("", "SELECT word, uses FROM vocabulary"))
        return {row[0]: row[1] for row in rows}


@pytest.fixture
async def words(database: Database) -> Words:
    words = Words(database)
    await words.run("INSERT INTO categories (name) VALUES ('Cars')")
    return words


async def test_a_word_is_known_as_soon_as_two_sellers_use_it(words: Words) -> None:
    await words.listing("Blue Gazelle", 1, make="Wolga", model="GAZ-21")
    await words.listing("Gazelle, gazelle", 1)
    assert await words.known() == {}
    await words.listing("Red Gazelle", 2, model="gaz 21")
    assert await words.known() == {"gazelle": 2, "gaz": 2, "21": 2}
    await words.listing("A gazelle", 3)
    assert await words.known() == {"gazelle": 3, "gaz": 2, "21": 2}
    await words.run("DELETE FROM listings WHERE seller_id <> 1")
    assert await words.known() == {}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE listings SET hidden_at = now() WHERE seller_id = 2",
        "UPDATE listings SET visibility = 'private' WHERE seller_id = 2",
        "UPDATE listings SET trashed_at = now() WHERE seller_id = 2",
        "UPDATE users SET banned_at = now() WHERE id = 2",
        "UPDATE users SET deleted_at = now() WHERE id = 2",
        "DELETE FROM listings WHERE seller_id = 2",
        "UPDATE categories SET visibility = 'private'",
        "UPDATE categories SET deleted_at = now()",
    ],
)
async def test_a_word_that_visitors_cannot_read_is_not_known(words: Words, change: str) -> None:
    for seller_id in (1, 2):
        await words.listing("Secret", seller_id)
    assert await words.known() == {"secret": 2}
    await words.run(change)
    assert await words.known() == {}


async def test_the_words_of_the_most_sellers_are_kept(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "MAX_VOCABULARY", 2)
    for seller_id in range(1, 5):
        await words.listing(" ".join(["omega", "gamma", "alpha", "beta"][:seller_id]), seller_id)
    assert await words.known() == {"omega": 4, "gamma": 3}


async def test_only_some_words_of_a_listing_are_learned(words: Words) -> None:
    many = " ".join(f"word{letter}" for letter in string.ascii_lowercase)
    for seller_id in (1, 2):
        await words.listing(many, seller_id)
    assert set(await words.known()) == {f"word{letter}" for letter in string.ascii_lowercase[:20]}


async def test_one_process_at_a_time_collects_the_words_and_the_next_waits_for_its_turn(
    words: Words, settings: Settings
) -> None:
    chores, turns = ChoreRepository(words.database), list[int]()
    is_going, may_end = asyncio.Event(), asyncio.Event()

    async def work(_: Transaction) -> bool:
        turns.append(len(turns))
        is_going.set()
        await may_end.wait()
        return True

    first = asyncio.create_task(chores.do("vocabulary", 60, work))
    await is_going.wait()
    assert await chores.do("vocabulary", 0, work) is False
    may_end.set()
    assert await first is True
    assert await chores.do("vocabulary", 60, work) is False
    assert await chores.do("vocabulary", 0, work) is True
    assert turns == [0, 1]


async def test_a_chore_that_fails_is_due_again(words: Words) -> None:
    chores = ChoreRepository(words.database)

    async def fail(_: Transaction) -> bool:
        raise KeyError

    with pytest.raises(KeyError):
        await chores.do("vocabulary", 60, fail)
    assert await chores.do("vocabulary", 60, rebuild_vocabulary) is True


async def test_applying_the_schema_forgets_the_words_that_earlier_versions_learned(
    words: Words, settings: Settings
) -> None:
    await words.run("INSERT INTO vocabulary VALUES ('secret', 5)")
    own = replace(settings, database_url=as_owner(settings.database_url))
    with closing(psycopg2.connect(own.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION learn_words() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        cursor.execute("CREATE TRIGGER listings_learn_words AFTER INSERT ON listings EXECUTE FUNCTION learn_words()")
        cursor.execute("DROP TABLE IF EXISTS schema_applied")
    await apply_schema(own)
    assert await words.database.fetch(Statement("", "SELECT FROM vocabulary")) == []
    await words.listing("Gazelle")
    assert await words.database.fetch(Statement("", "SELECT FROM vocabulary")) == []
