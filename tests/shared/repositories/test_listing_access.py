"""Tests that the statement for one viewer and the statement for all viewers of a listing always agree."""

from __future__ import annotations

import itertools

from shared.access.actor import Actor
from shared.domain.listings import ListingNotFound
from shared.domain.users import Role
from shared.postgres import Database
from shared.repositories.listing_access import ListingAccess, SeenListing
from tests.api.rows import Rows

SELLER, OTHER, BANNED_SELLER = 1, 2, 3
HIDDEN: tuple[dict[str, str], ...] = (
    {},
    {"hidden_at": "now()"},
    {"hidden_at": "now()", "hidden_until": "now() + interval '1 day'"},
    {"hidden_at": "now()", "hidden_until": "now() - interval '1 day'"},
)


async def every_kind_of_listing(database: Database) -> list[int]:
    rows = Rows(database)
    await rows.execute("UPDATE users SET banned_at = now() WHERE id = %s", BANNED_SELLER)
    categories = [await rows.category("public"), await rows.category("private"), await rows.category("public")]
    await rows.execute("UPDATE categories SET deleted_at = now() WHERE id = %s", categories[-1])
    trash: tuple[dict[str, str], ...] = ({}, {"trashed_at": "now()"})
    return [
        await rows.listing(seller, category, visibility=visibility, **hidden, **trashed)
        for seller, category, visibility, hidden, trashed in itertools.product(
            (SELLER, BANNED_SELLER), categories, ("public", "private"), HIDDEN, trash
        )
    ]


async def seen(access: ListingAccess, listing_id: int, actor: Actor) -> SeenListing | None:
    try:
        return await access.visible(listing_id, actor)
    except ListingNotFound:
        return None


async def test_the_audience_of_a_listing_agrees_with_each_single_look_up(database: Database) -> None:
    listing_ids = await every_kind_of_listing(database)
    access = ListingAccess(database)
    audiences = await access.audiences(listing_ids)
    assert set(audiences) == set(listing_ids)
    people = [Actor(user_id, "", role, "", 0) for user_id in (SELLER, OTHER, BANNED_SELLER) for role in Role]
    visible = 0
    for listing_id, person in itertools.product(listing_ids, people):
        audience = audiences[listing_id]
        expected = await seen(access, listing_id, person)
        assert audience.includes(person.user_id, person.role) is (expected is not None), (listing_id, person)
        if expected is not None:
            assert audience.listing == expected
            visible += 1
    assert 0 < visible < len(listing_ids) * len(people)


async def test_an_absent_listing_has_no_audience(database: Database) -> None:
    assert await ListingAccess(database).audiences([1, 2**62]) == {}
