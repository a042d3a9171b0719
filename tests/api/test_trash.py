"""The trash: how listings get into it, who sees it, and how listings leave it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.pictures.errors import PictureMissing
from api.services import SERVICES
from shared.domain.users import Role
from shared.events.listings import LISTING_UPDATED, LOOK_AGAIN
from tests.api.conftest import PASSWORD, Api, Broadcasts, MakeApi
from tests.api.locks import Hold
from tests.api.rows import Rows
from tests.api.test_pictures import a_jpeg, form
from tests.support.waiting import PATIENCE_SECONDS


async def ids_in_trash(api: Api, who: Any) -> list[int]:
    return [one["id"] for one in (await api.call("GET", "/api/trash", 200, who=who))["data"]]


async def test_a_deleted_listing_is_invisible_and_in_the_trash_with_reason_time_and_actor(api: Api, rows: Rows) -> None:
    seller, admin = await api.register("Seller"), await api.register("Ada", Role.ADMIN)
    own, others = await rows.listing(seller.id), await rows.listing(seller.id)
    await api.call("DELETE", f"/api/listings/{own}", 204, who=seller)
    await api.call("DELETE", f"/api/listings/{others}", 204, who=admin)
    for who in (None, seller, admin):
        await api.call("GET", f"/api/listings/{own}", 404, who=who)
        assert (await api.call("GET", "/api/listings", 200, who=who))["data"] == []
    found = (await api.call("GET", "/api/trash", 200, who=admin))["data"]
    assert [one["id"] for one in found] == [others, own]
    assert [one["trashed"]["by"] for one in found] == [
        {"id": admin.id, "name": "Ada"},
        {"id": seller.id, "name": "Seller"},
    ]
    assert found[1]["trashed"]["reason"] == "deleted by its seller"
    assert found[1]["trashed"]["at"].endswith("Z")
    assert found[1]["title"] == "A car"
    assert await rows.fetch("SELECT actor_id, action, target_id FROM audit") == [(admin.id, "listing_delete", others)]


async def test_a_deleted_category_puts_its_listings_in_the_trash_until_they_get_another_category(
    api: Api, rows: Rows
) -> None:
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    gone, other = await rows.category(), await rows.category()
    listing_id, deleted_before = await rows.listing(seller.id, gone), await rows.listing(seller.id, gone)
    await api.call("DELETE", f"/api/listings/{deleted_before}", 204, who=seller)
    await api.call("DELETE", f"/api/categories/{gone}", 204, who=moderator)
    await api.call("GET", f"/api/listings/{listing_id}", 404, who=seller)
    [found, before] = (await api.call("GET", "/api/trash", 200, who=moderator))["data"]
    assert (found["id"], before["id"]) == (listing_id, deleted_before)
    assert found["trashed"]["reason"].startswith("its category was deleted")
    assert found["trashed"]["category_is_gone"] is True
    path = f"/api/trash/{listing_id}/restore"
    assert set((await api.call("POST", path, 422, who=moderator, json={}))["errors"]) == {"category_id"}
    assert set((await api.call("POST", path, 422, who=moderator))["errors"]) == {"category_id"}
    for wrong in (gone, 999, "x", 0):
        await api.call("POST", path, 422, who=moderator, json={"category_id": wrong})
    restored = await api.call("POST", path, 200, who=moderator, json={"category_id": other})
    assert restored["category"]["id"] == other
    await api.call("GET", f"/api/listings/{listing_id}", 200)
    await api.call("POST", path, 404, who=moderator, json={"category_id": other})
    assert await ids_in_trash(api, moderator) == [deleted_before]


async def test_a_restored_listing_is_unchanged_and_the_restore_is_recorded(api: Api, rows: Rows) -> None:
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    listing_id = await rows.listing(seller.id, price=500)
    before = await api.call("GET", f"/api/listings/{listing_id}", 200)
    await api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
    await api.call("POST", f"/api/trash/{listing_id}/restore", 200, who=moderator)
    assert await api.call("GET", f"/api/listings/{listing_id}", 200) == before
    assert await rows.fetch("SELECT actor_id, action FROM audit") == [(moderator.id, "trash_restore")]


async def test_the_listings_of_a_deleted_user_cannot_be_restored(api: Api, rows: Rows) -> None:
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    listing_id = await rows.listing(seller.id)
    await api.call("DELETE", "/api/me", 204, who=seller, json={"current_password": PASSWORD})
    await api.call("POST", f"/api/trash/{listing_id}/restore", 409, who=moderator, json={})
    assert await ids_in_trash(api, moderator) == [listing_id]


async def test_pages_of_the_trash_are_latest_first(api: Api, rows: Rows) -> None:
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    kept, gone, later_gone = await rows.category(), await rows.category(), await rows.category()
    expected: list[int] = []
    one = [await rows.listing(seller.id, kept) for _ in range(3)]
    two = [await rows.listing(seller.id, gone) for _ in range(3)]
    three = [await rows.listing(seller.id, later_gone) for _ in range(3)]
    await api.call("DELETE", f"/api/categories/{gone}", 204, who=moderator)
    for listing_id in one:
        await api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
    await api.call("DELETE", f"/api/categories/{later_gone}", 204, who=moderator)
    expected = [*reversed(three), *reversed(one), *reversed(two)]
    assert [listing["id"] for listing in await api.every_page("/api/trash", who=moderator)] == expected
    await api.call("GET", "/api/trash?cursor=x", 422, who=moderator)


async def test_final_deletion_removes_the_listing_with_the_files_of_its_pictures(api: Api, rows: Rows) -> None:
    seller, admin = await api.register(), await api.register(role=Role.ADMIN)
    listing_id = await rows.listing(seller.id)
    await api.call("POST", f"/api/listings/{listing_id}/pictures", 201, who=seller, data=form(a_jpeg()))
    await api.call("POST", f"/api/listings/{listing_id}/replies", 201, who=admin, json={"text": "Nice"})
    assert api.client.app is not None
    services = api.client.app[SERVICES]
    keys = [key for row in await rows.fetch("SELECT key, medium_key, thumbnail_key FROM pictures") for key in row]
    assert len(await services.picture_storage.get(keys[0])) > 0
    await api.call("DELETE", f"/api/trash/{listing_id}", 404, who=admin)
    await api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
    await api.call("DELETE", f"/api/trash/{listing_id}", 204, who=admin)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await rows.fetch("SELECT key FROM abandoned_files"):
            pass
    for key in keys:
        with pytest.raises(PictureMissing):
            await services.picture_storage.get(key)
    assert await rows.fetch("SELECT count(*) FROM pictures, abandoned_files") == [(0,)]
    assert await rows.fetch("SELECT id FROM listings UNION ALL SELECT id FROM replies") == []
    assert await ids_in_trash(api, admin) == []
    assert await rows.fetch("SELECT actor_id, action, target_id FROM audit") == [(admin.id, "trash_delete", listing_id)]


async def test_people_take_back_what_they_deleted_themselves_and_nothing_else(api: Api, rows: Rows) -> None:
    seller, other, admin = await api.register("Ann"), await api.register(), await api.register(role=Role.ADMIN)
    first, second, by_admin, of_other = [
        await rows.listing(one.id, price=500) for one in (seller, seller, seller, other)
    ]
    await api.call("GET", "/api/trash", 401)
    assert await ids_in_trash(api, seller) == []
    before = await api.call("GET", f"/api/listings/{first}", 200)
    await api.call("PUT", f"/api/listings/{first}/favourite", 204, who=other)
    for listing_id, who in ((first, seller), (second, seller), (by_admin, admin), (of_other, other)):
        await api.call("DELETE", f"/api/listings/{listing_id}", 204, who=who)
    found = (await api.call("GET", "/api/trash", 200, who=seller))["data"]
    assert [one["id"] for one in found] == [second, first]
    assert found[0]["trashed"]["by"] == {"id": seller.id, "name": "Ann"}
    assert found[0]["trashed"]["until"] > found[0]["trashed"]["at"]
    assert await api.every_page("/api/trash", who=seller, limit=1) == found
    assert await ids_in_trash(api, other) == [of_other]
    # Who moderates sees all, and asks for what they can take back as sellers.
    trashed = (await api.call("GET", "/api/trash", 200, who=admin))["data"]
    assert {one["id"]: one["trashed"]["until"] is None for one in trashed} == {
        first: False,
        second: False,
        by_admin: True,
        of_other: False,
    }
    assert (await api.call("GET", "/api/trash?own=true", 200, who=admin))["data"] == []
    assert await api.call("POST", f"/api/trash/{first}/restore", 200, who=seller) == await api.call(
        "GET", f"/api/listings/{first}", 200, who=seller
    )
    assert await api.call("GET", f"/api/listings/{first}", 200) == before
    seen_by = {f"/api/listings?seller_id={seller.id}": None, "/api/me/favourites": other}
    for path, reader in seen_by.items():
        assert [one["id"] for one in (await api.call("GET", path, 200, who=reader))["data"]] == [first]
    for listing_id in (first, by_admin, of_other):
        await api.call("POST", f"/api/trash/{listing_id}/restore", 404, who=seller)
    assert await ids_in_trash(api, seller) == [second]
    assert await rows.fetch("SELECT action FROM audit") == [("listing_delete",)]


async def test_a_listing_that_its_seller_takes_back_is_in_lists_sitemap_and_feed_again_and_is_announced(
    api: Api, rows: Rows, broadcasts: Broadcasts
) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id, title="Gazelle")

    async def found() -> list[bool]:
        listed = (await api.call("GET", "/api/listings?q=gazelle", 200))["data"]
        texts = [await (await api.client.get(path)).text() for path in ("/sitemaps/1.xml", "/feed.atom", "/")]
        return [bool(listed), *(f"/listings/{listing_id}" in text for text in texts)]

    assert await found() == [True] * 4
    await api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
    assert await found() == [False] * 4
    broadcasts.seen.clear()
    await api.call("POST", f"/api/trash/{listing_id}/restore", 200, who=seller)
    assert await found() == [True] * 4
    seen, topic = await api.call("GET", f"/api/listings/{listing_id}", 200), f"listing:{listing_id}"
    assert broadcasts.seen == [(topic, LOOK_AGAIN, {"id": listing_id}), (topic, LISTING_UPDATED, seen)]


async def test_people_take_back_a_listing_for_as_long_as_the_setting_says(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(own_trash_days=3)
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    listing_id = await rows.listing(seller.id)
    await api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
    await rows.execute("UPDATE listings SET trashed_at = now() - interval '71 hours'")
    assert await ids_in_trash(api, seller) == [listing_id]
    await rows.execute("UPDATE listings SET trashed_at = now() - interval '73 hours'")
    assert await ids_in_trash(api, seller) == []
    await api.call("POST", f"/api/trash/{listing_id}/restore", 404, who=seller)
    await api.call("POST", f"/api/trash/{listing_id}/restore", 200, who=moderator)


async def test_a_hidden_or_ended_listing_that_its_seller_takes_back_is_still_hidden_or_ended(
    api: Api, rows: Rows
) -> None:
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    hidden, ended = await rows.listing(seller.id), await rows.listing(seller.id, expires_at="now()")
    await api.call("PUT", f"/api/listings/{hidden}/hidden", 200, who=moderator, json={"reason": "fraud"})
    for listing_id in (hidden, ended):
        await api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
        restored = await api.call("POST", f"/api/trash/{listing_id}/restore", 200, who=seller)
        assert (restored["hidden"], restored["ended"]) == (listing_id == hidden, listing_id == ended)
        await api.call("GET", f"/api/listings/{listing_id}", 404)


async def test_a_seller_names_another_category_if_that_of_the_listing_is_gone(api: Api, rows: Rows) -> None:
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    gone, other = await rows.category(), await rows.category()
    own, with_category = await rows.listing(seller.id, gone), await rows.listing(seller.id, gone)
    await api.call("DELETE", f"/api/listings/{own}", 204, who=seller)
    await api.call("DELETE", f"/api/categories/{gone}", 204, who=moderator)
    [found] = (await api.call("GET", "/api/trash", 200, who=seller))["data"]
    assert (found["id"], found["trashed"]["category_is_gone"]) == (own, True)
    problem = await api.call("POST", f"/api/trash/{own}/restore", 422, who=seller)
    assert set(problem["errors"]) == {"category_id"}
    await api.call("POST", f"/api/trash/{own}/restore", 200, who=seller, json={"category_id": other})
    # Somebody else deleted this one, with its category.
    await api.call("POST", f"/api/trash/{with_category}/restore", 404, who=seller, json={"category_id": other})


async def test_of_two_presses_one_takes_the_listing_back_and_whoever_is_banned_meanwhile_takes_nothing_back(
    api: Api, rows: Rows, hold: Hold
) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    path, headers = f"/api/trash/{listing_id}/restore", seller.headers
    await api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
    async with hold(f"SELECT FROM listings WHERE id = {listing_id} FOR UPDATE") as held:
        both = [asyncio.create_task(api.client.post(path, headers=headers)) for _ in range(2)]
        await held.until_waiting(2)
    assert sorted([(await one).status for one in both]) == [200, 404]
    await api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
    async with hold(f"UPDATE users SET banned_at = now(), ban_reason = 'fraud' WHERE id = {seller.id}") as held:
        late = asyncio.create_task(api.client.post(path, headers=headers))
        await held.until_waiting(1)
    assert (await late).status == 403
    assert await rows.fetch("SELECT trashed_at IS NULL FROM listings") == [(False,)]
