"""Tests every declared field of a listing, and concurrent changes of listings and categories."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

import msgspec
import pytest

from shared.access.actor import Actor
from shared.domain.cars import (
    MAX_DOORS,
    MAX_ENGINE_CC,
    MAX_OWNERS,
    MAX_POWER_KW,
    Body,
    Colour,
    Condition,
    Drive,
    Fuel,
    TitleStatus,
    Transmission,
)
from shared.domain.declared import fields_of
from shared.domain.listings import (
    MAX_MILEAGE,
    MAX_PRICE,
    CategoryNotFound,
    ListingChange,
    NewListing,
    Status,
    Visibility,
)
from shared.domain.users import Role
from shared.postgres import Database, Statement
from shared.repositories.categories import CategoryRepository
from shared.repositories.listings import ListingRepository
from shared.repositories.trash import TrashRepository
from shared.repositories.users import UserRepository

MODERATOR, SELLER = 1, 2


async def category(database: Database, name: str = "Sedans") -> int:
    await UserRepository(database).set_role(MODERATOR, Role.MODERATOR, by=None)
    return (await CategoryRepository(database).create(name, Visibility.PUBLIC, by=MODERATOR)).id


async def test_a_listing_cannot_be_created_in_a_category_that_is_being_deleted(database: Database) -> None:
    listings, category_id = ListingRepository(database), await category(database)
    new = NewListing(title="A car", content="It drives.", category_id=category_id)
    async with database.transaction() as transaction:
        sql = "UPDATE categories SET deleted_at = now() WHERE id = %s"
        await transaction.execute(Statement("", sql), category_id)
        creating = asyncio.ensure_future(listings.create(SELLER, new))
        # Each query takes a trip to the server, during which the insert goes on.
        while not await database.fetch(Statement("", "SELECT FROM pg_locks WHERE NOT granted")):
            pass
        assert not creating.done()
    with pytest.raises(CategoryNotFound):
        await creating


async def test_every_declared_field_can_be_stored_read_and_changed(database: Database) -> None:
    listings, first, second = ListingRepository(database), await category(database), await category(database, "Trucks")
    new = NewListing(
        title="A car",
        content="It drives.",
        category_id=first,
        visibility=Visibility.PRIVATE,
        status=Status.SOLD,
        make="Fiat",
        model="500",
        year=1969,
        mileage=MAX_MILEAGE,
        price=MAX_PRICE,
        location="Rome",
        fuel=Fuel.GASOLINE,
        transmission=Transmission.MANUAL,
        body=Body.HATCHBACK,
        drive=Drive.REAR,
        colour=Colour.YELLOW,
        doors=MAX_DOORS,
        power_kw=MAX_POWER_KW,
        engine_cc=MAX_ENGINE_CC,
        owners=MAX_OWNERS,
        condition=Condition.FAIR,
        title_status=TitleStatus.CLEAN,
        vin="ZFA0000000A123456",
    )
    names = [field.name for field in fields_of(NewListing)]
    assert names == list(asdict(new))
    listing_id = await listings.create(SELLER, new)
    seller = Actor(SELLER, "session", Role.USER, "Sam", 0)

    async def shown() -> dict[str, Any]:
        json = msgspec.json.decode(await listings.read(listing_id, seller), type=dict[str, Any])
        return {"vin": None, **json, "category_id": json["category"]["id"]}

    assert {name: (await shown())[name] for name in names} == asdict(new)
    others = {
        "title": "Another",
        "content": "It stands.",
        "category_id": second,
        "visibility": Visibility.PUBLIC,
        "status": Status.AVAILABLE,
        "make": None,
        "model": None,
        "year": 1970,
        "mileage": 0,
        "price": None,
        "location": None,
        "fuel": None,
        "transmission": Transmission.CVT,
        "body": None,
        "drive": Drive.ALL,
        "colour": None,
        "doors": 1,
        "power_kw": 1,
        "engine_cc": None,
        "owners": 0,
        "condition": None,
        "title_status": TitleStatus.LIEN,
        "vin": None,
    }
    assert list(others) == names
    for name, value in others.items():
        before = await shown()
        await listings.change(listing_id, ListingChange({name: value}), by=SELLER)
        after = await shown()
        assert after[name] == value
        more = {"category_id": {"category"}, "price": {"price_history"}, "vin": {"has_vin"}}
        changed = {name, "updated_at"} | more.get(name, set())
        assert {key for key in after if after[key] != before[key]} <= changed


async def test_concurrent_listings_with_the_same_words_do_not_deadlock(database: Database) -> None:
    listings, category_id = ListingRepository(database), await category(database)
    words = ["alpha", "beta", "gamma", "delta", "omega"]
    creating = [
        listings.create(
            SELLER,
            NewListing(title=" ".join(words[n % 5 :] + words[: n % 5]), content="It drives.", category_id=category_id),
        )
        for n in range(50)
    ]
    assert len(set(await asyncio.gather(*creating))) == 50


async def test_deleting_a_category_and_its_listing_at_once_leaves_one_row_in_the_trash(database: Database) -> None:
    listings, category_id = ListingRepository(database), await category(database)
    listing_id = await listings.create(SELLER, NewListing(title="A car", content="It drives.", category_id=category_id))
    sql = "UPDATE listings SET trashed_at = now() WHERE id = %s"
    await asyncio.gather(
        CategoryRepository(database).delete(category_id, by=MODERATOR),
        database.execute(Statement("", sql), listing_id),
    )
    [row] = await database.fetch(Statement("", "SELECT now() + interval '1 second', 9223372036854775807"))
    found = await TrashRepository(database, own_days=30).find(before=(row[0], row[1]), limit=10, only_of=None)
    assert [(one.id, one.category_is_gone) for one in found] == [(listing_id, True)]
