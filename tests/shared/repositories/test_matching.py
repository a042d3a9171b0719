"""A saved search is told of exactly the listings that the list of listings finds by it."""

from __future__ import annotations

import random
from dataclasses import fields
from typing import Any

import msgspec
import pytest

from api.schemas.saved_searches import filter_of, stored_filter
from shared.domain.listings import ListingFilter, Sort
from shared.domain.users import Role
from shared.postgres import Database, Statement
from shared.repositories.alerts import AlertRepository
from shared.repositories.listing_search import ListingSearch
from shared.repositories.matching import Matching
from shared.repositories.saved_searches import SavedSearchRepository
from shared.repositories.visibility import Viewer
from shared.repositories.vocabulary import rebuild_vocabulary
from tests.support.listings import analysed

SELLERS, BUYERS = (1, 2, 3), (4, 5, 6)
MODERATOR = 6
SEARCHES, LISTINGS = 150, 60
AUSTIN, MUNICH = 1, 2

CARS = [("Toyota", "Camry"), ("toyota", "Corolla"), ("Mazda", "Mazda3"), ("Ford", "F-150"), (None, None)]
WORDS = ["red", "Mégane", "one owner", "x", "4x4", "Zündapp", "low mileage", "camry"]

ASKED: dict[str, list[Any]] = {
    "q": ["camry", "toyta", "mazda 3", "F150", "red", "megane", "low", "a the", "!", "one owner camry"],
    "category_id": [1, 2, 3, 9],
    "seller_id": [1, 2, 4],
    "make": ["Toyota", "MAZDA", "ford"],
    "model": ["camry", "F-150"],
    "year_min": [0, 2000, 2015],
    "year_max": [2000, 2015, 9999],
    "price_min": [0, 5000, 9000],
    "price_max": [0, 5000, 9000],
    "mileage_max": [0, 50000],
    "status": ["available", "sold", "any"],
    "hidden": ["true", "false"],
    "verbatim": ["true", "false"],
    "fuel": ["diesel", "lpg,diesel", "electric"],
    "transmission": ["manual"],
    "body": ["suv,sedan"],
    "drive": ["all"],
    "colour": ["red"],
    "doors": ["5", "3,5"],
    "power_kw_min": [0, 100],
    "power_kw_max": [99, 100],
    "engine_cc_min": [1500],
    "engine_cc_max": [1500],
    "owners_max": [0, 1],
    "condition": ["good,fair"],
    "title_status": ["clean"],
    "vin": ["1HGCM82633A004352"],
    "near": ["Austin, TX", "30.3,-97.7", "Munich"],
    "within": ["50km", "200mi"],
}
"""Values for each condition of a search. A new condition needs some here."""


def test_every_condition_of_a_search_is_tried() -> None:
    assert set(ASKED) == {field.name for field in fields(ListingFilter)}


def a_search(chance: random.Random, *, may_ask_hidden: bool) -> dict[str, str]:
    names = [name for name in ASKED if name != "hidden" or may_ask_hidden]
    chosen = chance.sample(names, chance.choice([0, 1, 1, 2, 2, 3]))
    if "within" in chosen and "near" not in chosen:
        chosen.append("near")
    for name in [name for name in chosen if name.endswith("_min")]:
        # A range has to have something in it.
        if f"{name.removesuffix('_min')}_max" in chosen:
            chosen.remove(name)
    return {name: str(chance.choice(ASKED[name])) for name in chosen}


async def add_listing(database: Database, chance: random.Random) -> int:
    make, model = chance.choice(CARS)
    columns = analysed(
        seller_id=chance.choice((*SELLERS, BUYERS[0])),
        category_id=chance.choice([1, 2, 3]),
        title=f"{chance.choice(WORDS)} {model or 'car'}",
        content=chance.choice(WORDS) * chance.choice([1, 1, 200]),
        visibility=chance.choice(["public", "public", "private"]),
        status=chance.choice(["available", "available", "sold"]),
        make=make,
        model=model,
        year=chance.choice([None, 1999, 2000, 2015, 2020]),
        price=chance.choice([None, 0, 5000, 5001, 9000, 12000]),
        mileage=chance.choice([None, 0, 50000, 90000]),
        fuel=chance.choice([None, "diesel", "electric"]),
        transmission=chance.choice([None, "manual"]),
        body=chance.choice([None, "suv", "van"]),
        drive=chance.choice([None, "all"]),
        colour=chance.choice(["red", "blue"]),
        doors=chance.choice([None, 3, 5]),
        power_kw=chance.choice([None, 99, 100]),
        engine_cc=chance.choice([None, 1499, 1500, 1501]),
        owners=chance.choice([None, 0, 1]),
        condition=chance.choice([None, "good", "new"]),
        title_status=chance.choice([None, "clean"]),
        vin=chance.choice([None, "1HGCM82633A004352"]),
        place_id=chance.choice([None, AUSTIN, MUNICH]),
        trashed_at=chance.choice([None, None, None, "now"]),
        hidden_at=chance.choice([None, None, None, "now"]),
    )
    sql = f"INSERT INTO listings ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) RETURNING id"
    row = await database.fetch_one(Statement("", sql), *columns.values())
    assert row is not None
    return int(row[0])


async def change_listing(database: Database, chance: random.Random, listing_id: int) -> None:
    changes: list[tuple[str, Any]] = [("price", 4000), ("price", None), ("status", "sold"), ("title", "Camry")]
    column, value = chance.choice([*changes, ("trashed_at", None), ("hidden_at", None)])
    await database.execute(Statement("", f"UPDATE listings SET {column} = %s WHERE id = %s"), value, listing_id)


@pytest.mark.parametrize("seed", range(4))
async def test_each_search_is_told_of_exactly_what_the_list_finds_by_it(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    sql = """INSERT INTO categories (name, visibility)
            VALUES ('One', 'public'), ('Two', 'private'), ('Three', 'public');
        UPDATE categories SET deleted_at = now() WHERE name = 'Three';
        UPDATE users SET role = 'moderator' WHERE id = 6;
        INSERT INTO places VALUES (1, 'Austin', 'TX', 'US', ll_to_earth(30.267, -97.743)),
            (2, 'Munich', '', 'DE', ll_to_earth(48.137, 11.575));
        INSERT INTO blocks (blocker_id, blocked_id) VALUES (5, 1), (2, 4)"""
    await database.execute(Statement("", sql))
    for _ in range(20):
        await add_listing(database, chance)
    async with database.transaction() as transaction:
        await rebuild_vocabulary(transaction)
    search = ListingSearch(database)
    searches = SavedSearchRepository(database, search.query)
    saved: dict[int, tuple[int, ListingFilter]] = {}
    for number in range(SEARCHES):
        user_id = BUYERS[number % len(BUYERS)]
        query = a_search(chance, may_ask_hidden=user_id == MODERATOR)
        # People have at most fifty: these tests ask more of few people.
        added = await searches.add(user_id, "Mine", query, filter_of(query), await searches.words(filter_of(query)))
        saved[added.id] = user_id, filter_of(query)
    matching, alerts = Matching(database, stored_filter), AlertRepository(database)
    while (await matching.step(7)).changes:
        pass
    new = [await add_listing(database, chance) for _ in range(LISTINGS)]
    for _ in range(LISTINGS // 3):
        await change_listing(database, chance, chance.choice(new))
    while (await matching.step(7)).changes:
        pass
    expected = await found(search, saved, after_id=20)
    told = {
        (one["search"]["id"], one["listing_id"])
        for user_id in BUYERS
        for one in map(_decoded, await alerts.latest(user_id, before_id=2**62, limit=100_000))
        if one["listing_id"] > 20
    }
    assert told == expected
    assert len(expected) > LISTINGS


def _decoded(alert: Any) -> Any:
    return msgspec.json.decode(alert.json)


async def found(
    search: ListingSearch, saved: dict[int, tuple[int, ListingFilter]], *, after_id: int
) -> set[tuple[int, int]]:
    """The pairs of a search and a listing that it finds, without what nobody is told of."""
    blocked = {(5, 1), (4, 2)}
    pairs: set[tuple[int, int]] = set()
    for search_id, (user_id, filter) in saved.items():
        role = Viewer.of_role(Role.MODERATOR if user_id == MODERATOR else Role.USER)
        viewer = Viewer(user_id, role.sees_private, role.sees_hidden)
        positions = (await search.find(filter, Sort.NEWEST, viewer, after=None, limit=1000)).positions
        sellers = dict(
            await search._database.fetch(
                Statement("", "SELECT id, seller_id FROM listings WHERE id = ANY (%s)"), [one.id for one in positions]
            )
        )
        pairs |= {
            (search_id, listing_id)
            for listing_id, seller_id in sellers.items()
            if listing_id > after_id and seller_id != user_id and (user_id, seller_id) not in blocked
        }
    return pairs
