"""Favourites, and the history of prices: a drop, a sale and a removal are told once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.domain import alerts
from shared.domain.users import Role
from shared.repositories import favourites
from tests.api.alerts.telling import Told
from tests.api.alerts.test_saved_searches import change, offer
from tests.api.conftest import PASSWORD, Person
from tests.api.rows import Rows


async def like(told: Told, who: Person, listing_id: int) -> None:
    await told.api.call("PUT", f"/api/listings/{listing_id}/favourite", 204, who=who)


async def read(told: Told, listing_id: int, who: Person | None = None) -> Any:
    return await told.api.call("GET", f"/api/listings/{listing_id}", 200, who=who)


async def test_a_price_drop_a_sale_and_a_removal_of_a_favourite_are_told_once(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    listing_id = await offer(told.api, rows, seller, price=10200)
    await like(told, buyer, listing_id)
    assert await told.news(buyer) == []
    await change(told.api, seller, listing_id, price=9500)
    [(event, payload)] = await told.news(buyer)
    assert event == payload["kind"] == "price_drop"
    assert (payload["price"], payload["price_before"], payload["search"]) == (9500, 10200, None)
    assert payload["listing"] == await read(told, listing_id)
    await change(told.api, seller, listing_id, price=9900)
    await change(told.api, seller, listing_id, price=9500)
    assert await told.news(buyer) == []
    await change(told.api, seller, listing_id, status="sold", title="Sold!")
    assert await told.kinds(buyer) == [("sold", listing_id)]
    await change(told.api, seller, listing_id, content="Sold to a nice person.")
    assert await told.news(buyer) == []
    await told.api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
    [(event, payload)] = await told.news(buyer)
    assert (event, payload["listing"], payload["title"]) == ("removed", None, "Sold!")
    assert await told.news(buyer) == await told.news(seller) == []
    kinds = [one["kind"] for one in await told.api.every_page("/api/alerts", who=buyer)]
    assert kinds == ["removed"]


async def test_a_favourite_is_told_again_after_it_was_offered_again_or_restored(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    admin = await told.api.register("Ada", Role.ADMIN)
    listing_id = await offer(told.api, rows, seller)
    await like(told, buyer, listing_id)
    events = []
    for _ in range(2):
        await change(told.api, seller, listing_id, status="sold")
        events += await told.kinds(buyer)
        await change(told.api, seller, listing_id, status="available")
        events += await told.kinds(buyer)
        await told.api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
        events += await told.kinds(buyer)
        await told.api.call("POST", f"/api/trash/{listing_id}/restore", 200, who=admin, json={})
        events += await told.kinds(buyer)
    assert events == [("sold", listing_id), ("removed", listing_id)] * 2


@pytest.mark.parametrize("way", ["category", "seller", "admin"])
async def test_a_favourite_can_go_in_several_ways(
    told: Told, rows: Rows, people: tuple[Person, Person], way: str
) -> None:
    buyer, seller = people
    admin = await told.api.register("Ada", Role.ADMIN)
    listing_id = await offer(told.api, rows, seller)
    await like(told, buyer, listing_id)
    match way:
        case "category":
            category_id = (await read(told, listing_id))["category"]["id"]
            await told.api.call("DELETE", f"/api/categories/{category_id}", 204, who=admin)
        case "seller":
            await told.api.call("DELETE", "/api/me", 204, who=seller, json={"current_password": PASSWORD})
        case "admin":
            await told.api.call("DELETE", f"/api/listings/{listing_id}", 204, who=admin)
    assert await told.kinds(buyer) == [("removed", listing_id)]


async def test_nothing_of_a_hidden_favourite_or_of_blocked_people_is_told(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    admin, blocker = await told.api.register("Ada", Role.ADMIN), await told.api.register("Eve")
    await told.listens(admin, blocker)
    listing_id = await offer(told.api, rows, seller, price=9000)
    for person in (buyer, admin, blocker):
        await like(told, person, listing_id)
    await told.api.call("PUT", f"/api/users/{seller.id}/block", 200, who=blocker)
    await told.api.call("PUT", f"/api/listings/{listing_id}/hidden", 200, who=admin, json={})
    await change(told.api, seller, listing_id, price=8000, status="sold", title="A secret")
    assert await told.news(buyer) == await told.news(blocker) == []
    assert await told.api.every_page("/api/me/favourites", who=buyer) == []
    await told.api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
    [(_, removed)] = await told.news(buyer)
    # The title is the one that the person has seen.
    assert removed["title"] == "2015 Toyota Camry"
    assert await told.news(blocker) == []


async def test_a_favourite_that_was_hidden_is_told_when_it_is_shown_again(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    admin = await told.api.register("Ada", Role.ADMIN)
    listing_id = await offer(told.api, rows, seller, price=9000)
    await like(told, buyer, listing_id)
    await told.api.call("PUT", f"/api/listings/{listing_id}/hidden", 200, who=admin, json={})
    await change(told.api, seller, listing_id, price=8000)
    assert await told.news(buyer) == []
    await told.api.call("DELETE", f"/api/listings/{listing_id}/hidden", 204, who=admin)
    assert await told.kinds(buyer) == [("price_drop", listing_id)]


async def test_favourites_are_listed_latest_first_and_shown_to_their_person(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    first, second, third = [await offer(told.api, rows, seller) for _ in range(3)]
    for listing_id in (second, third, first, second):
        await like(told, buyer, listing_id)
    listed = await told.api.every_page("/api/me/favourites", who=buyer)
    assert [one["id"] for one in listed] == [first, third, second]
    assert all(one["favourite"] for one in listed)
    assert await told.api.every_page("/api/me/favourites", who=seller) == []
    for path in ("/api/listings", "/api/listings?q=camry"):
        found = await told.api.every_page(path, who=buyer)
        assert {one["id"] for one in found if one["favourite"]} == {first, second, third}
        assert not any("favourite" in one for one in await told.api.every_page(path))
    for _ in range(2):
        await told.api.call("DELETE", f"/api/listings/{first}/favourite", 204, who=buyer)
    assert (await read(told, first, buyer))["favourite"] is False
    await change(told.api, seller, first, status="sold")
    assert await told.news(buyer) == []


async def test_only_the_seller_learns_how_many_people_a_favourite_has(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    moderator, admin = [await told.api.register(role.value, role) for role in (Role.MODERATOR, Role.ADMIN)]
    listing_id = await offer(told.api, rows, seller)
    for person in (buyer, moderator):
        await like(told, person, listing_id)
    assert (await read(told, listing_id, seller))["favourite_count"] == 2
    [listed] = await told.api.every_page(f"/api/listings?seller_id={seller.id}", who=seller)
    assert listed["favourite_count"] == 2
    for other in (None, buyer, moderator, admin):
        assert "favourite_count" not in await read(told, listing_id, other)
    problem = await told.api.call("PUT", f"/api/listings/{listing_id}/favourite", 409, who=seller)
    assert problem["type"] == "/problems/conflict"


async def test_a_person_has_at_most_so_many_favourites_also_when_they_come_at_once(
    told: Told, rows: Rows, people: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(favourites, "MAX_FAVOURITES", 5)
    assert alerts.MAX_FAVOURITES == 1000
    buyer, seller = people
    category_id = await rows.category()
    listings = [await rows.listing(seller.id, category_id) for _ in range(9)]
    await like(told, buyer, listings[0])

    async def add(listing_id: int) -> int:
        path = f"/api/listings/{listing_id}/favourite"
        return (await told.api.client.put(path, headers=buyer.headers)).status

    statuses = await asyncio.gather(*map(add, listings))
    assert sorted(statuses) == [204] * 5 + [409] * 4
    problem = await told.api.call("PUT", f"/api/listings/{await rows.listing(seller.id)}/favourite", 409, who=buyer)
    assert problem["type"] == "/problems/too-many-favourites"


async def test_a_listing_shows_the_prices_that_it_had(told: Told, rows: Rows, people: tuple[Person, Person]) -> None:
    _, seller = people
    listing_id = await offer(told.api, rows, seller, price=10200)
    assert (await read(told, listing_id))["price_history"] == []
    for price in (9500, 9500, None, 9000):
        await change(told.api, seller, listing_id, price=price)
    await change(told.api, seller, listing_id, title="Without a change of the price")
    history = (await read(told, listing_id))["price_history"]
    assert [one["price"] for one in history] == [10200, 9500, None]
    assert all(one["until"].endswith("Z") for one in history)
    assert sorted(one["until"] for one in history) == [one["until"] for one in history]
    for price in range(1, 30):
        await change(told.api, seller, listing_id, price=price)
    history = (await read(told, listing_id))["price_history"]
    assert [one["price"] for one in history] == list(range(9, 29))
