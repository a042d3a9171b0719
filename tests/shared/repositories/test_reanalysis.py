"""Listings whose words no process, or another version, has made get them anew, in steps beside requests."""

from __future__ import annotations

from dataclasses import replace

import psycopg2
import pytest

from shared.domain.listings import ListingFilter, Sort
from shared.postgres import Database, Statement
from shared.postgres.schema import apply_schema
from shared.repositories import reanalysis
from shared.repositories.listing_search import ListingSearch
from shared.repositories.reanalysis import reanalyse_some
from shared.repositories.visibility import Viewer
from shared.settings import Settings
from tests.support.roles import as_owner


async def run(database: Database, sql: str, *parameters: object) -> list[tuple[object, ...]]:
    return await database.fetch(Statement("", sql), *parameters)


async def found(database: Database, **asked: str) -> list[int]:
    filter = ListingFilter(**asked)  # type: ignore[arg-type]
    page = await ListingSearch(database).find(filter, Sort.NEWEST, Viewer.of(None), after=None, limit=50)
    return [position.id for position in page.positions]


async def reanalyse(database: Database) -> int:
    """Do all steps. Returns how many there were."""
    steps, is_done = 0, False
    while not is_done:
        async with database.transaction() as transaction:
            is_done = await reanalyse_some(transaction, rest_seconds=0)
        steps += 1
    return steps


@pytest.fixture
async def old(database: Database) -> list[int]:
    """The ids of listings that a process of an earlier version has stored."""
    await run(database, "INSERT INTO categories (name) VALUES ('Cars') RETURNING id")
    sql = """INSERT INTO listings (seller_id, category_id, title, content, make, location)
             SELECT 1, 1, ' Gazelle ' || n, 'A lorry.', 'Cafe\u0301 ', NULL FROM generate_series(1, 7) AS n
             RETURNING id"""
    return [int(str(row[0])) for row in await run(database, sql)]


async def test_listings_without_words_get_them_in_steps_and_their_texts_are_tidied(
    database: Database, old: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reanalysis, "MOST", 3)
    assert await found(database, q="gazelle") == []
    changed = await run(database, "SELECT id, updated_at FROM listings ORDER BY id")
    assert await reanalyse(database) >= 3
    assert await found(database, q="gazelle") == old[::-1]
    assert await found(database, make="café") == old[::-1]
    [(title, make, location)] = await run(database, "SELECT title, make, location FROM listings WHERE id = %s", old[0])
    assert (title, make, location) == ("Gazelle 1", "Caf\u00e9", None)
    assert await run(database, "SELECT id, updated_at FROM listings ORDER BY id") == changed


async def test_a_listing_whose_texts_change_without_its_words_is_analysed_again(
    database: Database, old: list[int]
) -> None:
    await reanalyse(database)
    await run(database, "UPDATE listings SET title = 'Antelope' WHERE id = %s RETURNING id", old[2])
    await run(database, "UPDATE listings SET price = 3 WHERE id = %s RETURNING id", old[3])
    waiting = await run(database, "SELECT id FROM listings WHERE analysis <> 1")
    assert waiting == [(old[2],)]
    await reanalyse(database)
    assert await found(database, q="antelope") == [old[2]]
    assert await run(database, "SELECT id FROM listings WHERE analysis <> 1") == []


async def test_a_listing_that_somebody_is_changing_is_left_for_later(database: Database, old: list[int]) -> None:
    async with database.transaction() as transaction:
        await transaction.fetch(Statement("", "SELECT FROM listings WHERE id = %s FOR UPDATE"), old[0])
        await reanalyse(database)
        assert await found(database, q="gazelle") == old[:0:-1]
    await reanalyse(database)
    assert await found(database, q="gazelle") == old[::-1]


async def test_the_schema_brings_listings_of_earlier_versions_over(
    database: Database, old: list[int], settings: Settings
) -> None:
    own = replace(settings, database_url=as_owner(settings.database_url))
    with psycopg2.connect(own.database_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            """CREATE FUNCTION listing_search(title text, content text, make text, model text, year integer)
                   RETURNS tsvector LANGUAGE sql IMMUTABLE AS
                   $$ SELECT array_to_tsvector(array_remove(search_words(concat_ws(' ', title, content)), '')) $$;
               ALTER TABLE listings DROP COLUMN analysis CASCADE, DROP COLUMN search CASCADE;
               ALTER TABLE listings ADD COLUMN search tsvector
                   GENERATED ALWAYS AS (listing_search(title, content, make, model, year)) STORED;
               DROP TABLE schema_applied"""
        )
    connection.close()
    await apply_schema(own)
    # The old words find them until they are analysed.
    assert await found(database, q="gazelle") == old[::-1]
    await reanalyse(database)
    assert await found(database, q="gazelle") == old[::-1]
    assert await found(database, q="lorries") == old[::-1]
