"""Listings with the picture or the VIN of somebody else's listing come before moderators, and nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from PIL import Image, ImageOps

from api.services import SERVICES
from shared.domain.users import Role
from shared.events.topics import MODERATION
from tests.api.conftest import NEVER, Api, Broadcasts, MakeApi, Person
from tests.api.pictures.samples import encoded
from tests.api.pictures.test_likeness import cropped, photo
from tests.api.rows import Rows
from tests.api.test_pictures import upload
from tests.support.waiting import PATIENCE_SECONDS

VIN = "1HGBH41JXMN109186"


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """An API that looks for copies only when a test says so."""
    return await make_api(looking_seconds=NEVER, rate_limits=False)


async def listing(api: Api, who: Person, category_id: int, **more: Any) -> int:
    body = {"title": "A car", "content": "Red.", "category_id": category_id, **more}
    return int((await api.call("POST", "/api/listings", 201, who=who, json=body))["id"])


async def findings(api: Api, moderator: Person) -> list[tuple[str, int, int]]:
    """The kind, the later listing and the earlier one of each open finding, latest first."""
    found = await api.every_page("/api/findings", who=moderator)
    return [(one["kind"], one["listing"]["id"], one["earlier_listing"]["id"]) for one in found]


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    return encoded(picture, "JPEG", quality=quality)


async def look(api: Api) -> None:
    """Look for the copies of all pictures."""
    while await api.client.app[SERVICES].looking.step():
        pass


@pytest.mark.parametrize("is_mirrored", [False, True])
async def test_a_crop_of_somebody_elses_picture_comes_before_moderators(
    api: Api, rows: Rows, is_mirrored: bool
) -> None:
    ann, bob, moderator = await api.register("Ann"), await api.register("Bob"), await api.register(role=Role.MODERATOR)
    of_ann, of_bob = await rows.listing(ann.id), await rows.listing(bob.id)
    await upload(api, of_ann, ann, data=jpeg(photo(1)))
    await upload(api, of_ann, ann, data=jpeg(photo(2)))
    await upload(api, of_bob, bob, data=jpeg(photo(3)))
    await look(api)
    assert await findings(api, moderator) == []
    changed = photo(1)
    if is_mirrored:
        changed = ImageOps.mirror(changed)
    await upload(api, of_bob, bob, data=jpeg(cropped(changed, 0.08, 0.05, 0.08, 0.05), quality=40))
    await look(api)
    [found] = await api.every_page("/api/findings", who=moderator)
    assert (found["kind"], found["person"]["id"], found["earlier_person"]["id"]) == ("same_picture", bob.id, ann.id)
    assert (found["listing"]["id"], found["earlier_listing"]["id"]) == (of_bob, of_ann)


async def test_two_copies_at_which_nobody_has_looked_yet_are_one_finding(api: Api, rows: Rows) -> None:
    people = [await api.register(), await api.register()]
    moderator = await api.register(role=Role.MODERATOR)
    listings = [await rows.listing(one.id) for one in people]
    pictures = [await upload(api, at, one, data=jpeg(photo(1))) for at, one in zip(listings, people, strict=True)]
    assert pictures[0]["id"] < pictures[1]["id"]
    looking = api.client.app[SERVICES].looking
    assert [await looking.step(), await looking.step()] == [True, True]
    assert await findings(api, moderator) == [("same_picture", listings[1], listings[0])]


async def test_ones_own_picture_and_one_in_the_trash_may_be_used_again(api: Api, rows: Rows) -> None:
    ann, bob, moderator = await api.register(), await api.register(), await api.register(role=Role.MODERATOR)
    first, second = await rows.listing(ann.id), await rows.listing(ann.id)
    await upload(api, first, ann, data=jpeg(photo(1)))
    await upload(api, second, ann, data=jpeg(photo(1)))
    for one in (first, second):
        await api.call("DELETE", f"/api/listings/{one}", 204, who=ann)
    await upload(api, await rows.listing(bob.id), bob, data=jpeg(photo(1)))
    await look(api)
    assert await findings(api, moderator) == []


async def test_a_picture_is_found_without_anybody_asking(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(looking_seconds=0.02)
    ann, bob, moderator = await api.register(), await api.register(), await api.register(role=Role.MODERATOR)
    listings = [await rows.listing(one.id) for one in (ann, bob)]
    for at, one in zip(listings, (ann, bob), strict=True):
        await upload(api, at, one, data=jpeg(photo(1)))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await findings(api, moderator):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert await findings(api, moderator) == [("same_picture", listings[1], listings[0])]


async def test_the_vin_of_somebody_elses_listing_comes_before_moderators(api: Api, rows: Rows) -> None:
    ann, bob, moderator = await api.register(), await api.register(), await api.register(role=Role.MODERATOR)
    category_id = await rows.category()
    first = await listing(api, ann, category_id, vin=VIN)
    assert await findings(api, moderator) == []
    second = await listing(api, bob, category_id, vin=VIN)
    assert await findings(api, moderator) == [("same_vin", second, first)]
    # A VIN that is entered later counts as well, and one that is entered again is no news.
    third = await listing(api, bob, category_id)
    await api.call("PATCH", f"/api/listings/{third}", 200, who=bob, json={"vin": VIN})
    await api.call("PATCH", f"/api/listings/{third}", 200, who=bob, json={"title": "Another"})
    await api.call("PATCH", f"/api/listings/{first}", 200, who=ann, json={"vin": None})
    await api.call("PATCH", f"/api/listings/{first}", 200, who=ann, json={"vin": VIN})
    assert await findings(api, moderator) == [("same_vin", third, first), ("same_vin", second, first)]


async def test_a_seller_who_offers_a_car_again_is_not_suspected(api: Api, rows: Rows) -> None:
    ann, bob, moderator = await api.register(), await api.register(), await api.register(role=Role.MODERATOR)
    category_id = await rows.category()
    first = await listing(api, ann, category_id, vin=VIN)
    await listing(api, ann, category_id, vin=VIN)
    await api.call("DELETE", f"/api/listings/{first}", 204, who=ann)
    await listing(api, ann, category_id, vin=VIN)
    await rows.execute("UPDATE listings SET trashed_at = now() WHERE seller_id = %s", ann.id)
    # Ann has sold the car and deleted her listings.
    await listing(api, bob, category_id, vin=VIN)
    assert await findings(api, moderator) == []
    await api.call("POST", f"/api/trash/{first}/restore", 200, who=moderator, json={})
    assert [kind for kind, *_ in await findings(api, moderator)] == ["same_vin"]


async def test_of_two_sellers_who_offer_one_car_in_the_same_moment_one_is_found(api: Api, rows: Rows) -> None:
    people = [await api.register() for _ in range(4)]
    moderator, category_id = await api.register(role=Role.MODERATOR), await rows.category()
    await asyncio.gather(*(listing(api, one, category_id, vin=VIN) for one in people))
    # Each pair of the four once.
    assert len(await findings(api, moderator)) == 6


async def test_what_was_dealt_with_is_in_no_list_and_can_be_opened_again(api: Api, rows: Rows) -> None:
    ann, bob, moderator = await api.register(), await api.register(), await api.register(role=Role.MODERATOR)
    category_id = await rows.category()
    for one in (ann, bob):
        await listing(api, one, category_id, vin=VIN)
    [found] = await api.every_page("/api/findings", who=moderator)
    path = f"/api/findings/{found['id']}/resolved"
    done = await api.call("PUT", path, 200, who=moderator)
    assert (done["resolved_by"], done["resolved_at"] is None) == (moderator.id, False)
    assert await api.call("PUT", path, 200, who=moderator) == done
    assert await findings(api, moderator) == []
    assert await api.call("DELETE", path, 200, who=moderator) == found
    assert len(await findings(api, moderator)) == 1
    acts = await rows.fetch("SELECT action, details FROM audit WHERE target_type = 'finding' ORDER BY id")
    assert acts == [("finding_resolve", {"user_id": bob.id}), ("finding_reopen", {"user_id": bob.id})]
    # Nothing is found in a listing that is gone.
    await rows.execute("UPDATE listings SET trashed_at = now() WHERE seller_id = %s", bob.id)
    assert await findings(api, moderator) == []


async def test_findings_wait_in_the_queue_and_are_closed_with_their_group(
    api: Api, rows: Rows, broadcasts: Broadcasts
) -> None:
    ann, bob, moderator = await api.register(), await api.register(), await api.register(role=Role.MODERATOR)
    category_id = await rows.category()
    first, second = [await listing(api, one, category_id, vin=VIN) for one in (ann, bob)]
    await upload(api, second, bob, data=jpeg(photo(2)))
    uploaded = [await upload(api, at, one, data=jpeg(photo(1))) for at, one in ((first, ann), (second, bob))]
    await look(api)
    assert await api.client.app[SERVICES].looking.tell() == 2
    assert await api.client.app[SERVICES].looking.tell() == 0
    told = [payload for topic, _, payload in broadcasts.seen if topic == MODERATION]
    assert [(one["kind"], one["id"], one["person_id"]) for one in told] == [("listing", second, bob.id)] * 2
    [group] = await api.every_page("/api/moderation/queue", who=moderator)
    assert (group["kind"], group["id"], group["person"]["id"]) == ("listing", second, bob.id)
    assert (group["weight"], group["reporters"], group["size"]) == (3, 0, 2)
    entries = [(one["kind"], one["listing_id"], one["by"]) for one in group["entries"]]
    assert sorted(entries) == [("same_picture", first, None), ("same_vin", first, None)]
    # Each says which two listings it is about, and which of their pictures look alike.
    assert [one["finding"] for one in group["entries"]] == await api.every_page("/api/findings", who=moderator)
    of_picture = next(one["finding"] for one in group["entries"] if one["kind"] == "same_picture")
    pictures = [of_picture["picture_url"], of_picture["earlier_picture_url"]]
    assert pictures == [uploaded[1]["thumbnail_url"], uploaded[0]["thumbnail_url"]]
    of_vin = next(one["finding"] for one in group["entries"] if one["kind"] == "same_vin")
    assert (of_vin["picture_url"], of_vin["earlier_picture_url"]) == (None, None)
    path = f"/api/moderation/queue/listings/{second}"
    assert await api.call("GET", path, 200, who=moderator) == group
    closed = await api.call("PUT", f"{path}/resolved", 200, who=moderator, json={"up_to": group["newest_at"]})
    assert closed == {"report_ids": [], "finding_ids": sorted(one["id"] for one in group["entries"])}
    assert await findings(api, moderator) == []
    await api.call("GET", path, 404, who=moderator)
    acts = await rows.fetch("SELECT action, actor_id FROM audit WHERE target_type = 'finding'")
    assert acts == [("finding_resolve", moderator.id)] * 2


async def test_moderators_neither_see_nor_decide_what_was_found_about_themselves(api: Api, rows: Rows) -> None:
    ann, mona, other = [await api.register(role=role) for role in (Role.USER, Role.MODERATOR, Role.MODERATOR)]
    category_id = await rows.category()
    for one in (ann, mona):
        await listing(api, one, category_id, vin=VIN)
    assert await findings(api, mona) == []
    [found] = await api.every_page("/api/findings", who=other)
    for method in ("PUT", "DELETE"):
        await api.call(method, f"/api/findings/{found['id']}/resolved", 404, who=mona)
    assert len(await findings(api, other)) == 1


async def test_a_finding_goes_with_its_listings(api: Api, rows: Rows) -> None:
    ann, bob = await api.register(), await api.register()
    category_id = await rows.category()
    first = await listing(api, ann, category_id, vin=VIN)
    await listing(api, bob, category_id, vin=VIN)
    await upload(api, first, ann, data=jpeg(photo(1)))
    await rows.execute("DELETE FROM listings WHERE id = %s", first)
    assert await rows.fetch("SELECT FROM findings") == await rows.fetch("SELECT FROM picture_likenesses") == []
