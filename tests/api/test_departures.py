"""If a user leaves, is banned or is warned while a request of theirs is under way, the request stores nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.domain.pictures import NewPicture
from shared.domain.users import NoLongerAllowed, Role
from shared.repositories.pictures import PictureRepository
from tests.api.conftest import PASSWORD, Api
from tests.api.locks import Hold
from tests.api.rows import Rows

LEAVES = "UPDATE users SET deleted_at = now(), email = NULL, password_hash = NULL, name = '' WHERE id = %s"
IS_BANNED = "UPDATE users SET banned_at = now(), ban_reason = 'spam', banned_by = 1 WHERE id = %s"
IS_WARNED = "INSERT INTO sanctions (kind, user_id, by_id, reason) VALUES ('warning', %s, 1, 'spam')"


@pytest.mark.parametrize(("goes", "status"), [(LEAVES, 401), (IS_BANNED, 403)], ids=["leaves", "is banned"])
@pytest.mark.parametrize(
    ("table", "method", "path", "body"),
    [
        ("listings", "POST", "/api/listings", {"title": "A car", "content": "It drives.", "category_id": 1}),
        ("replies", "POST", "/api/listings/1/replies", {"text": "Is it still there?"}),
        ("reports", "POST", "/api/listings/1/reports", {"reason": "spam"}),
        ("blocks", "PUT", "/api/users/1/block", None),
    ],
)
async def test_a_user_who_leaves_or_is_banned_before_the_row_is_inserted_stores_nothing(
    api: Api, rows: Rows, hold: Hold, table: str, method: str, path: str, body: Any, goes: str, status: int
) -> None:
    seller = await api.register("Seller", Role.ADMIN)
    someone = await api.register("Someone")
    await rows.listing(seller.id, await rows.category())
    before = await rows.fetch(f"SELECT count(*) FROM {table}")
    # The act was admitted before, and waits for what is done to its user.
    async with hold(goes.replace("%s", str(someone.id))) as held:
        acting = asyncio.create_task(api.call(method, path, status, who=someone, json=body))
        await held.until_waiting(1, acting)
        assert not acting.done()
    await acting
    assert await rows.fetch(f"SELECT count(*) FROM {table}") == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/listings", {"title": "A car", "content": "It drives.", "category_id": 1}),
        ("PATCH", "/api/listings/1", {"title": "Another car"}),
        ("PUT", "/api/listings/1/renewed", None),
        ("PUT", "/api/listings/1/pictures/order", {"pictures": []}),
        ("POST", "/api/listings/2/replies", {"text": "Is it still there?"}),
    ],
)
async def test_a_user_who_is_warned_before_an_act_commits_publishes_nothing_and_is_told_why(
    api: Api, rows: Rows, hold: Hold, method: str, path: str, body: Any
) -> None:
    admin, someone = await api.register("Ada", Role.ADMIN), await api.register("Someone")
    category_id = await rows.category()
    for seller in (someone, admin):
        await rows.listing(seller.id, category_id)
    published = "SELECT (SELECT json_agg(l ORDER BY id) FROM listings l)::text, (SELECT count(*) FROM replies)"
    before = await rows.fetch(published)
    async with hold(IS_WARNED.replace("%s", str(someone.id))) as held:
        acting = asyncio.create_task(api.call(method, path, 403, who=someone, json=body))
        await held.until_waiting(1, acting)
        assert not acting.done()
    assert (await acting)["type"] == "/problems/unread-warning"
    assert await rows.fetch(published) == before


@pytest.mark.parametrize("goes", [LEAVES, IS_BANNED, IS_WARNED], ids=["leaves", "is banned", "is warned"])
async def test_a_user_who_has_left_or_is_banned_or_warned_adds_no_picture(api: Api, rows: Rows, goes: str) -> None:
    await api.register("Ada")
    seller = await api.register("Seller")
    listing_id = await rows.listing(seller.id)
    pictures = PictureRepository(rows.database)
    await pictures.expect(["a", "b", "c"], 600)
    await rows.execute(goes, seller.id)
    picture = NewPicture(
        key="a", content_type="image/webp", size=1, width=1, height=1,
        medium_key="b", medium_content_type="image/webp", medium_size=1, medium_width=1,
        thumbnail_key="c", thumbnail_content_type="image/webp", thumbnail_size=1, thumbnail_width=1,
    )  # fmt: skip
    with pytest.raises(NoLongerAllowed):
        await pictures.add(listing_id, picture, by=seller.id, owner_id=seller.id)
    assert await rows.fetch("SELECT FROM pictures") == []


async def test_a_user_who_leaves_while_creating_a_listing_leaves_no_listing_behind(
    api: Api, rows: Rows, hold: Hold
) -> None:
    someone = await api.register("Someone")
    category_id = await rows.category()
    body = {"title": "A car", "content": "It drives.", "category_id": category_id}
    # The listing waits for its category. Leaving begins meanwhile, and must wait for the listing.
    async with hold(f"SELECT FROM categories WHERE id = {category_id} FOR UPDATE") as held:
        creating = asyncio.create_task(api.client.post("/api/listings", json=body, headers=someone.headers))
        await held.until_waiting(1, creating)
        leaving = asyncio.create_task(
            api.call("DELETE", "/api/me", 204, who=someone, json={"current_password": PASSWORD})
        )
        await held.until_waiting(2, leaving)
    await asyncio.gather(creating, leaving)
    assert await rows.fetch("SELECT FROM listings WHERE trashed_at IS NULL") == []
    await api.call("GET", "/api/listings/1", 404)


async def test_a_listing_of_somebody_who_has_left_is_seen_by_nobody(api: Api, rows: Rows) -> None:
    someone, admin = await api.register("Someone"), await api.register("Ada", Role.ADMIN)
    listing_id = await rows.listing(someone.id)
    await api.call("GET", f"/api/listings/{listing_id}", 200)
    await rows.execute(LEAVES, someone.id)
    await api.call("GET", f"/api/listings/{listing_id}", 404)
    await api.call("GET", f"/api/listings/{listing_id}", 404, who=admin)
    assert (await api.call("GET", "/api/listings", 200))["data"] == []
    assert (await api.call("GET", "/api/listings?q=car", 200))["data"] == []
