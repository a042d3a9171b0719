"""Tests the demo listings: they are varied, and a search finds them."""

from __future__ import annotations

import pytest

from shared.domain.listings import ListingFilter, Sort
from shared.postgres import Database, Statement
from shared.repositories import seed_listings
from shared.repositories.listing_search import ListingSearch
from shared.repositories.seed_listings import ListingSeedRepository
from shared.repositories.visibility import Viewer


async def one_row(database: Database, sql: str) -> tuple[object, ...]:
    row = await database.fetch_one(Statement("", sql))
    assert row is not None
    return row


async def test_demo_listings_are_varied_and_found_by_misspelled_words(
    database: Database, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seed_listings, "_BATCH", 700)
    assert await ListingSeedRepository(owner).listings(2000)
    sql = """SELECT count(*), count(*) FILTER (WHERE visibility = 'private'), count(*) FILTER (WHERE status = 'sold'),
                    count(hidden_at), count(*) - count(price), count(*) - count(mileage)
             FROM listings"""
    assert await one_row(database, sql) == (2000, 200, 166, 10, 50, 66)
    sql = """SELECT min(year) >= 1886 AND max(year) <= extract(year FROM now()) + 1 AND min(price) >= 0
                    AND min(mileage) >= 0 AND max(created_at) <= now(),
                    count(DISTINCT category_id), count(DISTINCT seller_id), count(DISTINCT model) > 50
             FROM listings"""
    assert await one_row(database, sql) == (True, 6, 10, True)
    found = await ListingSearch(database).find(
        ListingFilter(q="toyta camry"), Sort.NEWEST, Viewer.of(None), after=None, limit=5
    )
    assert len(found.positions) == 5
    titles = await database.fetch(
        Statement("", "SELECT title FROM listings WHERE id = ANY (%s)"), [position.id for position in found.positions]
    )
    assert all("Toyota Camry" in title for (title,) in titles)


async def test_the_search_index_collects_few_entries_afterwards(database: Database, owner: Database) -> None:
    await ListingSeedRepository(owner).listings(100)
    options = await one_row(
        database, "SELECT reloptions::text FROM pg_class WHERE relname = 'listings_words_and_facts'"
    )
    assert "gin_pending_list_limit=64" in str(options[0])


async def test_demo_listings_need_users(owner: Database) -> None:
    assert not await ListingSeedRepository(owner).listings(10)
    assert await one_row(owner, "SELECT count(*) FROM listings") == (0,)
