"""The vocabulary, from which misspelled words are corrected, has exactly the words of the existing listings."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from shared.postgres import Database, Statement
from shared.postgres.schema import apply_schema
from shared.settings import Settings


class Words:
    """Inserts listings by their titles, and reads the vocabulary."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def run(self, sql: str, *parameters: object) -> int:
        return await self.database.execute(Statement("", sql), *parameters)

    async def listing(self, title: str, **columns: str) -> int:
        names = "".join(f", {name}" for name in columns)
        values = ", %s" * len(columns)
        sql = f"""INSERT INTO listings (seller_id, category_id, content, title{names})
                  VALUES (1, 1, 'It drives.', %s{values}) RETURNING id"""
        [[listing_id]] = await self.database.fetch(Statement("", sql), title, *columns.values())
        return int(listing_id)

    async def known(self) -> dict[str, int]:
        rows = await self.database.fetch(Statement("", "SELECT word, uses FROM vocabulary"))
        return {row[0]: row[1] for row in rows}


@pytest.fixture
async def words(database: Database) -> Words:
    words = Words(database)
    await words.run("INSERT INTO categories (name) VALUES ('Cars')")
    return words


async def test_a_word_is_removed_with_the_last_listing_that_has_it(words: Words) -> None:
    first = await words.listing("Blue Gazelle", make="Wolga", model="GAZ-21")
    second = await words.listing("Red Gazelle")
    assert await words.known() == {"blue": 1, "red": 1, "gazelle": 2, "wolga": 1, "gaz": 1, "21": 1, "gaz21": 1}
    await words.run("UPDATE listings SET trashed_at = now() WHERE id = %s", first)
    assert await words.known() == {"red": 1, "gazelle": 1}
    await words.run("UPDATE listings SET trashed_at = NULL WHERE id = %s", first)
    assert await words.known() == {"blue": 1, "red": 1, "gazelle": 2, "wolga": 1, "gaz": 1, "21": 1, "gaz21": 1}
    await words.run("UPDATE listings SET title = 'Green', make = NULL, model = NULL WHERE id = %s", first)
    assert await words.known() == {"green": 1, "red": 1, "gazelle": 1}
    await words.run("DELETE FROM listings WHERE id = %s", second)
    assert await words.known() == {"green": 1}
    await words.run("UPDATE listings SET trashed_at = now() WHERE id = %s", first)
    await words.run("DELETE FROM listings WHERE id = %s", first)
    assert await words.known() == {}


async def test_the_count_of_a_word_falls_when_it_becomes_rare(words: Words) -> None:
    ids = [await words.listing("Gazelle") for _ in range(7)]
    for left, listing_id in zip((5, 5, 4, 3, 2, 1), ids, strict=False):
        assert await words.known() == {"gazelle": 5 if left == 5 else left + 1}
        await words.run("UPDATE listings SET trashed_at = now() WHERE id = %s", listing_id)
    assert await words.known() == {"gazelle": 1}
    await words.run("UPDATE listings SET trashed_at = now() WHERE trashed_at IS NULL")
    assert await words.known() == {}


async def test_removing_all_listings_of_a_seller_removes_their_words(words: Words) -> None:
    for number in range(8):
        await words.listing(f"Gazelle number{number}")
    assert len(await words.known()) == 9
    await words.run("UPDATE listings SET trashed_at = now() WHERE seller_id = 1")
    assert await words.known() == {}


async def test_a_change_of_other_fields_changes_no_word(words: Words) -> None:
    await words.listing("Gazelle")
    await words.run("UPDATE vocabulary SET uses = 4")
    await words.run("UPDATE listings SET price = 5, hidden_at = now(), updated_at = now()")
    await words.run("UPDATE listings SET title = 'gazelle.'")
    assert await words.known() == {"gazelle": 4}


async def test_a_word_stays_when_one_listing_removes_it_and_another_adds_it_at_once(words: Words) -> None:
    first = await words.listing("Gazelle")
    async with words.database.transaction() as bringing:
        sql = "INSERT INTO listings (seller_id, category_id, content, title) VALUES (1, 1, 'It drives.', 'Gazelle')"
        await bringing.execute(Statement("", sql))
        taking = asyncio.create_task(words.run("UPDATE listings SET trashed_at = now() WHERE id = %s", first))
        # Each query takes a trip to the server, during which the other transaction goes on.
        while not await bringing.fetch(Statement("", "SELECT FROM pg_locks WHERE NOT granted")):
            pass
    await taking
    assert await words.known() == {"gazelle": 1}


async def test_concurrent_changes_of_the_same_words_do_not_deadlock(words: Words) -> None:
    titles = [" ".join(order) for order in itertools.permutations(["alpha", "beta", "gamma"], 2)]
    ids = [await words.listing(titles[n % 6]) for n in range(12)]
    changes = [
        words.run("UPDATE listings SET title = %s WHERE id = %s", titles[(n * 5 + turn) % 6], listing_id)
        for turn in range(5)
        for n, listing_id in enumerate(ids)
    ]
    await asyncio.gather(*changes)
    await words.run("DELETE FROM listings")
    assert await words.known() == {}


async def test_applying_the_schema_removes_words_that_earlier_versions_kept(words: Words, settings: Settings) -> None:
    await words.listing("Gazelle")
    await words.run("INSERT INTO vocabulary VALUES ('forgotten', 5)")
    await words.run(
        "CREATE FUNCTION learn_changed_words() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    await words.run(
        "CREATE TRIGGER listings_learn_changed_words AFTER UPDATE ON listings EXECUTE FUNCTION learn_changed_words()"
    )
    await words.run("DROP TABLE IF EXISTS schema_applied")
    await apply_schema(settings)
    assert await words.known() == {"gazelle": 1}
