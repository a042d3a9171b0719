"""Changes with If-Match take effect only on the version that the client has seen."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.domain.users import Role
from tests.api.conftest import Api, Person
from tests.api.rows import Rows

pytestmark = pytest.mark.usefixtures("at_rest")

LISTING, CATEGORY, PROFILE = "/api/listings/1", "/api/categories/1", "/api/me"
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    LISTING: ({"price": 9000}, {"title": "A red car"}),
    CATEGORY: ({"name": "Vans"}, {"visibility": "private"}),
    PROFILE: ({"name": "Anna"}, {"name": "Annika"}),
}
EACH = pytest.mark.parametrize("path", list(CHANGES))


@pytest.fixture
async def ann(api: Api, rows: Rows) -> Person:
    """A moderator with the id 1, who owns the listing 1 in the category 1."""
    ann = await api.register("Ann", Role.MODERATOR)
    assert await rows.listing(ann.id) == 1
    return ann


async def tag(api: Api, path: str, who: Person | None) -> str:
    async with api.client.get(path, headers=who.headers if who else {}) as response:
        assert response.status == 200
        return response.headers["ETag"]


async def patch(api: Api, who: Person, path: str, change: Any, if_match: str) -> tuple[int, str | None, Any]:
    headers = {**who.headers, "If-Match": if_match}
    async with api.client.patch(path, json=change, headers=headers) as response:
        return response.status, response.headers.get("ETag"), await response.json(content_type=None)


@EACH
async def test_a_change_of_an_old_version_is_412_with_the_current_tag_and_changes_nothing(
    api: Api, ann: Person, path: str
) -> None:
    first, second = CHANGES[path]
    seen = await tag(api, path, ann)
    status, after, _ = await patch(api, ann, path, first, seen)
    assert status == 200
    assert after == await tag(api, path, ann) != seen
    before = await api.call("GET", path, 200, who=ann)
    status, now, problem = await patch(api, ann, path, second, seen)
    assert (status, now, problem["type"]) == (412, after, "/problems/changed-meanwhile")
    assert await api.call("GET", path, 200, who=ann) == before
    assert after is not None
    assert (await patch(api, ann, path, second, after))[0] == 200


@EACH
async def test_of_two_changes_of_one_version_at_once_one_takes_effect(api: Api, ann: Person, path: str) -> None:
    seen = await tag(api, path, ann)
    answers = await asyncio.gather(*(patch(api, ann, path, change, seen) for change in CHANGES[path]))
    assert sorted(status for status, _, _ in answers) == [200, 412]


@EACH
async def test_without_if_match_and_with_a_star_the_last_change_wins(api: Api, ann: Person, path: str) -> None:
    for change in CHANGES[path]:
        await api.call("PATCH", path, 200, who=ann, json=change)
        assert (await patch(api, ann, path, change, "*"))[0] == 200


@EACH
async def test_tags_are_compared_strongly_and_may_be_several(api: Api, ann: Person, path: str) -> None:
    change, _ = CHANGES[path]
    seen = await tag(api, path, ann)
    assert (await patch(api, ann, path, change, f"W/{seen}"))[0] == 412
    assert (await patch(api, ann, path, change, seen.strip('"')))[0] == 400
    for wrong in ("", "abc", '"'):
        assert (await patch(api, ann, path, change, wrong))[0] == 400
    assert (await patch(api, ann, path, change, f'"other", {seen}'))[0] == 200


async def test_the_tag_differs_between_people_who_see_different_fields(api: Api, ann: Person) -> None:
    bob = await api.register("Bob")
    tags = [await tag(api, LISTING, who) for who in (None, ann, bob)]
    assert len(set(tags)) == 3
    assert tags[0] == await tag(api, LISTING, None)


async def test_who_may_not_change_it_learns_nothing_from_the_condition(api: Api, ann: Person) -> None:
    bob = await api.register("Bob")
    for given in ('"wrong"', "*", await tag(api, LISTING, bob)):
        assert (await patch(api, bob, LISTING, {"price": 1}, given))[0:2] == (403, None)


@EACH
async def test_an_answer_that_the_client_has_is_304_until_it_changes(api: Api, ann: Person, path: str) -> None:
    seen = await tag(api, path, ann)

    async def read(if_none_match: str) -> tuple[int, str, bytes]:
        headers = {**ann.headers, "If-None-Match": if_none_match}
        async with api.client.get(path, headers=headers) as response:
            return response.status, response.headers["ETag"], await response.read()

    for known in (seen, f"W/{seen}", f'"other", {seen}', "*"):
        assert await read(known) == (304, seen, b"")
    assert (await read('"other"'))[:2] == (200, seen)
    async with api.client.head(path, headers={**ann.headers, "If-None-Match": seen}) as response:
        assert response.status == 304
    change, _ = CHANGES[path]
    # It is about reading: a change takes effect, and is answered whole.
    headers = {**ann.headers, "If-None-Match": seen}
    async with api.client.patch(path, json=change, headers=headers) as response:
        assert response.status == 200
        now = response.headers["ETag"]
    assert now != seen
    assert (await read(seen))[:2] == (200, now)


async def test_nobody_learns_by_a_known_tag_what_they_may_not_read(api: Api, ann: Person, rows: Rows) -> None:
    seen = await tag(api, LISTING, None)
    await rows.execute("UPDATE listings SET visibility = 'private' WHERE id = 1")
    async with api.client.get(LISTING, headers={"If-None-Match": seen}) as response:
        assert response.status == 404


@pytest.mark.parametrize("path", [LISTING, CATEGORY])
async def test_only_the_version_that_was_seen_is_deleted(api: Api, ann: Person, path: str) -> None:
    admin = await api.register("Ada", Role.ADMIN)
    seen = await tag(api, path, admin)
    await api.call("PATCH", path, 200, who=ann, json=CHANGES[path][0])
    now = await tag(api, path, admin)

    async def delete(if_match: str) -> tuple[int, str | None]:
        async with api.client.delete(path, headers={**admin.headers, "If-Match": if_match}) as response:
            return response.status, response.headers.get("ETag")

    assert await delete(seen) == (412, now)
    assert (await delete("nonsense"))[0] == 400
    assert await tag(api, path, admin) == now
    assert await delete(now) == (204, None)
    assert (await delete(now))[0] == 404


async def test_what_others_count_up_makes_no_other_version_of_a_listing(api: Api, ann: Person) -> None:
    bob = await api.register("Bob")
    seen = await tag(api, LISTING, ann)
    await api.call("PUT", f"{LISTING}/favourite", 204, who=bob)
    await api.call("POST", f"{LISTING}/replies", 201, who=bob, json={"text": "Still there?"})
    now = await tag(api, LISTING, ann)
    # It is another answer, but not another listing.
    assert now != seen
    async with api.client.get(LISTING, headers={**ann.headers, "If-None-Match": seen}) as response:
        assert response.status == 200
    assert (await patch(api, ann, LISTING, {"content": 'A "favourite_count":1, of mine'}, seen))[0] == 200
    assert (await patch(api, ann, LISTING, {"content": 'A "favourite_count":2, of mine'}, seen))[0] == 412
    assert (await patch(api, ann, LISTING, {"price": 5}, now))[0] == 412
