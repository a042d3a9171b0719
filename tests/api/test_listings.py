"""Tests how listings are created, read, changed and hidden, who sees them, and which changes are broadcast."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.users import Role
from shared.events.listings import LISTING_UPDATED, LOOK_AGAIN
from shared.postgres import Statement
from tests.api.conftest import Api, Broadcasts, Person
from tests.api.rows import Rows
from tests.api.trips import counted_trips
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("at_rest")

NEXT_YEAR = datetime.now(UTC).year + 1


async def new_listing(api: Api, rows: Rows, who: Person, **values: Any) -> Any:
    body = {"title": "2015 Toyota Camry", "content": "It drives.", "category_id": await rows.category(), **values}
    return await api.call("POST", "/api/listings", 201, who=who, json=body)


SELLERS = ("hidden", "favourite_count", "expires_at", "ended")


def for_anyone(listing: Any) -> Any:
    """A seller's own listing without what only sellers are shown."""
    return {name: value for name, value in listing.items() if name not in SELLERS}


async def test_a_listing_is_stored_as_given_and_read_with_its_seller_and_category(api: Api, rows: Rows) -> None:
    seller, buyer = await api.register("Ann"), await api.register()
    category_id = await rows.category()
    given: dict[str, Any] = {
        "title": "  <b>Camry</b> 'x' \"y\" \\ ",
        "content": "🚗" * 5000,
        "visibility": "public",
        "make": "Toyota",
        "model": "Camry",
        "year": 2015,
        "mileage": 0,
        "price": 999_999_999_999,
        "location": "Scranton, PA",
    }
    created = await api.call("POST", "/api/listings", 201, who=seller, json={**given, "category_id": category_id})
    given["title"] = given["title"].strip()
    assert created.items() >= given.items()
    assert created["category"]["id"] == category_id
    assert created["seller"] == {"id": seller.id, "name": "Ann"}
    assert created["status"] == "available"
    assert created["hidden"] is False
    assert (created["pictures"], created["reply_count"]) == ([], 0)
    assert created["created_at"] == created["updated_at"]
    assert datetime.fromisoformat(created["created_at"]).tzinfo is UTC
    path = f"/api/listings/{created['id']}"
    await api.call("POST", f"{path}/replies", 201, who=buyer, json={"text": "Hi"})
    seen = await api.call("GET", path, 200)
    assert seen == {**for_anyone(created), "reply_count": 1}
    assert await api.call("GET", "/api/listings", 200) == {"data": [seen], "next_cursor": None}
    assert await api.call("GET", path, 200, who=buyer) == {**seen, "favourite": False}
    assert await api.call("GET", path, 200, who=seller) == {**created, "reply_count": 1}


async def test_only_title_content_and_category_are_needed(api: Api, rows: Rows) -> None:
    seller = await api.register()
    created = await new_listing(api, rows, seller)
    for name in ("make", "model", "year", "mileage", "price", "location"):
        assert created[name] is None
    assert created["visibility"] == "public"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("title", ["", " ", "x" * 81, None, 5, "a\x00", "\udfff"]),
        ("content", ["", "\n", "x" * 5001, None, ["x"], "\x00", "a\ud800"]),
        ("category_id", [0, -1, 999, None, "x", 2**63, 1.5, True]),
        ("visibility", ["secret", None, 1]),
        ("make", ["", "x" * 101, 5]),
        ("model", ["x" * 101, "\x00"]),
        ("location", ["x" * 101, {}]),
        ("year", [1885, NEXT_YEAR + 1, "2015", 2015.5, True, -(2**70), 2**70, 1e300]),
        ("mileage", [-1, 10.5, "10", 2**31, 10_000_001, False]),
        ("price", [-1, 0.5, "9.99", 10**12, 2**53, 2**64, float(2**60)]),
        ("status", ["sold"]),
        ("seller_id", [1]),
    ],
)
async def test_wrong_values_are_422_and_nothing_is_stored(api: Api, rows: Rows, field: str, values: list[Any]) -> None:
    seller = await api.register()
    good = {"title": "A car", "content": "It drives.", "category_id": await rows.category()}
    for value in values:
        problem = await api.call("POST", "/api/listings", 422, who=seller, json={**good, field: value})
        assert set(problem["errors"]) == {field}, value
    assert await rows.fetch("SELECT count(*) FROM listings") == [(0,)]


async def test_the_smallest_and_largest_values_are_accepted(api: Api, rows: Rows) -> None:
    seller = await api.register()
    for year in (1886, NEXT_YEAR, 2015.0):
        assert (await new_listing(api, rows, seller, year=year))["year"] == year
    created = await new_listing(api, rows, seller, mileage=10_000_000, price=0, title="x" * 80)
    assert (created["mileage"], created["price"]) == (10_000_000, 0)


async def test_a_change_sets_the_given_fields_and_null_erases_a_value(
    api: Api, rows: Rows, broadcasts: Broadcasts
) -> None:
    seller = await api.register()
    created = await new_listing(api, rows, seller, make="Toyota", price=9000)
    path, other = f"/api/listings/{created['id']}", await rows.category()
    body = {"price": None, "status": "sold", "category_id": other, "title": "Camry"}
    changed = await api.call("PATCH", path, 200, who=seller, json=body)
    assert changed["price"] is None
    assert (changed["status"], changed["title"], changed["make"]) == ("sold", "Camry", "Toyota")
    assert changed["category"]["id"] == other
    assert changed["updated_at"] > created["updated_at"]
    topic = f"listing:{created['id']}"
    seen = for_anyone(changed)
    assert broadcasts.seen == [(topic, LOOK_AGAIN, {"id": created["id"]}), (topic, LISTING_UPDATED, seen)]
    assert await rows.fetch("SELECT count(*) FROM audit") == [(0,)]
    for wrong in ({"title": None}, {"category_id": 999}, {"status": "gone"}, {"year": 1}, {"id": 5}, {"content": ""}):
        await api.call("PATCH", path, 422, who=seller, json=wrong)
    assert await api.call("GET", path, 200, who=seller) == changed


async def test_an_admins_change_of_another_users_listing_is_recorded(api: Api, rows: Rows) -> None:
    seller, admin = await api.register(), await api.register(role=Role.ADMIN)
    listing_id = await rows.listing(seller.id)
    await api.call("PATCH", f"/api/listings/{listing_id}", 200, who=admin, json={"title": "New"})
    acts = await rows.fetch("SELECT actor_id, action, target_id, details->'fields'->>0 FROM audit")
    assert acts == [(admin.id, "listing_edit", listing_id, "title")]


async def test_a_hidden_listing_is_visible_to_its_owner_and_moderators_until_it_is_shown_again(
    api: Api, rows: Rows, broadcasts: Broadcasts
) -> None:
    seller, other, moderator = await api.register(), await api.register(), await api.register(role=Role.MODERATOR)
    listing_id = await rows.listing(seller.id)
    path, topic = f"/api/listings/{listing_id}", f"listing:{listing_id}"
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"reason": "spam?", "until": until}
    hidden = await api.call("PUT", f"{path}/hidden", 200, who=moderator, json=body)
    assert (hidden["hidden"], hidden["hidden_reason"]) == (True, "spam?")
    assert datetime.fromisoformat(hidden["hidden_until"]) == datetime.fromisoformat(until)
    assert broadcasts.seen[:2] == [
        (topic, LOOK_AGAIN, {"id": listing_id}),
        (topic, LISTING_UPDATED, {"id": listing_id}),
    ]
    for_seller, event, told = broadcasts.seen[2]
    assert (for_seller, event, told["kind"], told["reason"]) == (
        f"private_chat:{seller.id}",
        "sanction",
        "hiding",
        "spam?",
    )
    for who in (None, other):
        await api.call("GET", path, 404, who=who)
        assert (await api.call("GET", "/api/listings", 200, who=who))["data"] == []
    for_moderators = {name: value for name, value in hidden.items() if name != "favourite"}
    for who in (seller, moderator):
        assert (await api.call("GET", path, 200, who=who))["hidden"] is True
        own = {"favourite_count": 0} if who is seller else {"favourite": False}
        assert (await api.call("GET", "/api/listings", 200, who=who))["data"] == [{**for_moderators, **own}]
    await rows.execute("UPDATE listings SET hidden_until = now()")
    await api.call("GET", path, 200)
    assert (await api.call("GET", path, 200, who=seller))["hidden"] is False
    await api.call("PUT", f"{path}/hidden", 200, who=moderator)
    await api.call("GET", path, 404)
    await api.call("DELETE", f"{path}/hidden", 204, who=moderator)
    await api.call("DELETE", f"{path}/hidden", 204, who=moderator)
    await api.call("GET", path, 200)
    acts = await rows.fetch("SELECT action, reason FROM audit ORDER BY id")
    assert acts == [("listing_hide", "spam?"), ("listing_hide", None), ("listing_show", None)]


@pytest.mark.parametrize(
    "body",
    [{"reason": ""}, {"reason": "x" * 1001}, {"until": "soon"}, {"until": "2020-01-01T00:00:00Z"}, {"by": 1}],
)
async def test_a_wrong_request_to_hide_changes_nothing(api: Api, rows: Rows, body: dict[str, Any]) -> None:
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    listing_id = await rows.listing(seller.id)
    await api.call("PUT", f"/api/listings/{listing_id}/hidden", 422, who=moderator, json=body)
    await api.call("GET", f"/api/listings/{listing_id}", 200)


async def test_only_moderators_can_list_hidden_listings(api: Api, rows: Rows) -> None:
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    hidden, shown = await rows.listing(seller.id, hidden_at="now()"), await rows.listing(seller.id)
    await rows.listing(seller.id, hidden_at="now()", hidden_until="now()")
    await api.call("GET", "/api/listings?hidden=true", 401)
    await api.call("GET", "/api/listings?hidden=true", 403, who=seller)
    found = await api.call("GET", "/api/listings?hidden=true", 200, who=moderator)
    assert [one["id"] for one in found["data"]] == [hidden]
    found = await api.call("GET", "/api/listings?hidden=false", 200, who=moderator)
    assert shown in [one["id"] for one in found["data"]]
    assert hidden not in [one["id"] for one in found["data"]]


LISTS = (
    "", "?q=camry", "?q=camri", "?sort=price", "?make=toyota", "?category_id={category}", "?seller_id={seller}",
    "?q=camry&sort=-price", "?status=any", "?year_min=2000", "?model=CAMRY&sort=mileage", "?sort=-year",
)  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "category", "seen_by"),
    [
        ({}, "public", "visitor user owner moderator admin"),
        ({"visibility": "private"}, "public", "user owner moderator admin"),
        ({}, "private", "user owner moderator admin"),
        ({"hidden_at": "now()"}, "public", "owner moderator admin"),
        ({"hidden_at": "now()", "hidden_until": "now() + interval '1 day'"}, "private", "owner moderator admin"),
        ({"hidden_at": "now()", "hidden_until": "now()"}, "public", "visitor user owner moderator admin"),
        ({"trashed_at": "now()"}, "public", ""),
        ({}, "deleted", ""),
        ({}, "public, seller banned", "moderator admin"),
    ],
)
async def test_lists_and_searches_show_only_listings_that_their_reader_may_see(
    api: Api, rows: Rows, columns: dict[str, Any], category: str, seen_by: str
) -> None:
    await rows.execute("INSERT INTO vocabulary VALUES ('camry', 5)")
    owner = await api.register()
    people: dict[str, Person | None] = {
        "visitor": None,
        "user": await api.register(),
        "owner": owner,
        "moderator": await api.register(role=Role.MODERATOR),
        "admin": await api.register(role=Role.ADMIN),
    }
    category_id = await rows.category("private" if category == "private" else "public")
    car = {"title": "2015 Toyota Camry", "make": "Toyota", "model": "Camry", "year": 2015, "price": 9, "mileage": 9}
    listing_id = await rows.listing(owner.id, category_id, **car, **columns)
    if category == "deleted":
        await rows.execute("UPDATE categories SET deleted_at = now()")
    if "banned" in category:
        await rows.execute("UPDATE users SET banned_at = now() WHERE id = %s", owner.id)
        del people["owner"]
    for kind, who in people.items():
        expected = [listing_id] if kind in seen_by.split() else []
        await api.call("GET", f"/api/listings/{listing_id}", 200 if expected else 404, who=who)
        for query in LISTS:
            path = "/api/listings" + query.format(category=category_id, seller=owner.id)
            found = (await api.call("GET", path, 200, who=who))["data"]
            assert [one["id"] for one in found] == expected, (kind, path)


async def test_a_change_of_visibility_takes_effect_at_once(api: Api, rows: Rows) -> None:
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    category_id = await rows.category()
    listing_id = await rows.listing(seller.id, category_id)
    path, category_path = f"/api/listings/{listing_id}", f"/api/categories/{category_id}"
    await api.call("GET", path, 200)
    await api.call("PATCH", path, 200, who=seller, json={"visibility": "private"})
    await api.call("GET", path, 404)
    await api.call("PATCH", path, 200, who=seller, json={"visibility": "public"})
    await api.call("GET", path, 200)
    await api.call("PATCH", category_path, 200, who=moderator, json={"visibility": "private"})
    await api.call("GET", path, 404)
    assert (await api.call("GET", f"/api/listings?category_id={category_id}", 200))["data"] == []
    await api.call("PATCH", category_path, 200, who=moderator, json={"visibility": "public"})
    await api.call("GET", path, 200)


async def test_a_change_of_a_private_listing_is_broadcast_with_its_id_only(
    api: Api, rows: Rows, broadcasts: Broadcasts
) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id, visibility="private")
    await api.call("PATCH", f"/api/listings/{listing_id}", 200, who=seller, json={"title": "Secret"})
    assert broadcasts.seen[-1] == (f"listing:{listing_id}", LISTING_UPDATED, {"id": listing_id})


# (method, path, body, who, trips). Each request reads the user, checks the listing and changes it: three trips. If
# anybody may see the listing afterwards, a fourth trip reads it. To change a text that is searched, all texts are read.
TRIPS = [
    ("PATCH", "", {"price": 1}, "seller", 4),
    ("PATCH", "", {"title": "Changed"}, "seller", 5),
    ("PATCH", "", {"title": "Changed", "category_id": 1}, "admin", 5),
    # The seller is told what was done, and until when.
    ("PUT", "/hidden", {"reason": "spam"}, "admin", 5),
    ("DELETE", "/hidden", None, "admin", 4),
    ("DELETE", "", None, "seller", 3),
    ("DELETE", "", None, "admin", 3),
]


@pytest.mark.parametrize(("method", "path", "body", "who", "trips"), TRIPS)
async def test_a_change_costs_few_trips_to_postgres(
    make_api: Callable[..., Awaitable[Api]],
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: Any,
    who: str,
    trips: int,
) -> None:
    # There is one connection, so all statements are prepared when the second request comes.
    api = await make_api(database_pool_size=1)
    people = {"seller": await api.register(), "admin": await api.register(role=Role.ADMIN)}
    category_id = await rows.category()
    for turn in range(2):
        listing_id = await rows.listing(people["seller"].id, category_id)
        if path == "/hidden" and method == "DELETE":
            await rows.execute("UPDATE listings SET hidden_at = now()")
        with counted_trips(monkeypatch) as sent:
            response = await api.client.request(
                method, f"/api/listings/{listing_id}{path}", json=body, headers=people[who].headers
            )
            assert response.status in (200, 204)
        assert turn == 0 or len(sent) == trips, sent
    [[audited]] = await rows.fetch("SELECT count(*) FROM audit WHERE target_id = %s", listing_id)
    assert audited == (who == "admin")


WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_the_later_of_two_concurrent_changes_has_the_later_time(api: Api, rows: Rows) -> None:
    """The page compares these times to find out which content is newer."""
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    touch = Statement("", "UPDATE listings SET updated_at = clock_timestamp() WHERE id = %s RETURNING updated_at")
    async with rows.database.transaction() as first:
        await first.fetch(Statement("", "SELECT FROM listings WHERE id = %s FOR UPDATE"), listing_id)
        second = asyncio.create_task(
            api.call("PATCH", f"/api/listings/{listing_id}", 200, who=seller, json={"title": "Second"})
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await rows.fetch(WAITING):  # noqa: ASYNC110 (Postgres has no event for this)
                await asyncio.sleep(0.01)
        [[first_at]] = await first.fetch(touch, listing_id)
    assert datetime.fromisoformat((await second)["updated_at"]) > first_at
