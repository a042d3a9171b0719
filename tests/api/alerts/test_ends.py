"""Listings end: at that moment they are gone for others, their sellers are told before and renew them, once a day."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.users import Role
from shared.events.listings import LISTING_UPDATED, LOOK_AGAIN
from shared.events.topics import listing
from shared.pubsub.memory import MemoryHub
from shared.repositories.suggestions import collect_suggestions
from shared.settings import Settings
from tests.api.alerts.telling import Told, told_by
from tests.api.alerts.test_favourites import like
from tests.api.alerts.test_saved_searches import change, offer, save
from tests.api.conftest import Api, MakeApi, Person
from tests.api.rows import Rows

SOON = "now() + interval '4 days 23 hours'"


async def ends(rows: Rows, listing_id: int, at: str = "now()") -> None:
    assert await rows.execute(f"UPDATE listings SET expires_at = {at} WHERE id = %s", listing_id) == 1


async def renew(api: Api, who: Person, listing_id: int, status: int = 200) -> Any:
    return await api.call("PUT", f"/api/listings/{listing_id}/renewed", status, who=who)


async def found(api: Api, query: str = "", who: Person | None = None) -> list[int]:
    return [one["id"] for one in await api.every_page(f"/api/listings{query}", who=who)]


def days_until(time: str) -> float:
    return (datetime.fromisoformat(time) - datetime.now(UTC)) / timedelta(days=1)


async def test_a_listing_ends_after_the_days_of_the_setting_and_only_its_seller_and_moderators_see_when(
    make_api: MakeApi, rows: Rows
) -> None:
    api = await make_api(listing_days=30)
    seller, buyer, moderator = await api.register(), await api.register(), await api.register(role=Role.MODERATOR)
    listing_id = await offer(api, rows, seller)
    for who in (seller, moderator):
        shown = await api.call("GET", f"/api/listings/{listing_id}", 200, who=who)
        assert 29.9 < days_until(shown["expires_at"]) <= 30
        assert shown["ended"] is False
    for other in (buyer, None):
        shown = await api.call("GET", f"/api/listings/{listing_id}", 200, who=other)
        assert not {"expires_at", "ended"} & set(shown)


async def test_listings_of_earlier_versions_end_sixty_days_after_the_upgrade(api: Api, rows: Rows) -> None:
    seller = await api.register()
    old = await rows.listing(seller.id, created_at="now() - interval '3 years'")
    shown = await api.call("GET", f"/api/listings/{old}", 200, who=seller)
    assert 59.9 < days_until(shown["expires_at"]) <= 60


QUERIES = ("", "?q=gazelle", "?sort=price", "?sort=-year&q=gazelle", "?make=Gazelle", "?status=sold", "?price_max=5000",
           "?category_id={category}", "?seller_id={seller}", "?near=30.3,-97.7&sort=distance")  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
async def test_a_listing_that_has_ended_is_in_no_list_and_no_count(api: Api, rows: Rows, query: str) -> None:
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    category_id = await rows.category()
    await rows.execute(
        "INSERT INTO places VALUES (1, 'Austin', '', '', ll_to_earth(30.3, -97.7)) ON CONFLICT DO NOTHING"
    )
    columns: dict[str, Any] = {
        "title": "Gazelle", "make": "Gazelle", "price": 5000, "year": 2015, "place_id": 1,
        "status": "sold" if "sold" in query else "available",
    }  # fmt: skip
    ended = await rows.listing(seller.id, category_id, expires_at="now()", **columns)
    shown = await rows.listing(seller.id, category_id, **columns)
    wanted = query.format(category=category_id, seller=seller.id)
    for who in (None, await api.register(), seller, moderator):
        listed = await found(api, wanted, who)
        assert shown in listed
        assert ended not in listed
    counted = await api.call("GET", f"/api/listings/facets{wanted.partition('&sort')[0].partition('?sort')[0]}", 200)
    assert counted["total"] == 1


async def test_of_every_status_the_seller_and_moderators_find_what_has_ended(api: Api, rows: Rows) -> None:
    seller, moderator = await api.register(), await api.register(role=Role.MODERATOR)
    ended = await rows.listing(seller.id, expires_at="now()", title="Gazelle")
    for query in (f"?seller_id={seller.id}&status=any", "?status=any&q=gazelle", "?status=any&sort=price"):
        for who in (seller, moderator):
            assert await found(api, query, who) == [ended]
        for stranger in (None, await api.register()):
            assert await found(api, query, stranger) == []
    [shown] = await api.every_page(f"/api/listings?seller_id={seller.id}&status=any", who=seller)
    assert shown["ended"] is True


async def test_what_has_ended_is_in_no_page_feed_or_sitemap(api: Api, rows: Rows) -> None:
    seller = await api.register()
    ended = await rows.listing(seller.id, expires_at="now()", title="Gazelle")
    number = (ended - 1) // 50_000 + 1
    for path in ("/", f"/?seller_id={seller.id}&status=any", "/feed.atom", f"/sitemaps/{number}.xml"):
        response = await api.client.get(path)
        text = await response.text()
        assert response.status == 200
        assert "Gazelle" not in text
        assert f"/listings/{ended}" not in text


async def test_a_name_is_suggested_until_the_last_but_one_of_its_sellers_has_ended(api: Api, rows: Rows) -> None:
    async def suggested() -> list[str]:
        answer = await api.call("GET", "/api/suggestions", 200, params={"q": "wolgam"})
        return [one["text"] for one in answer["data"]]

    first, second = [
        await rows.listing(
            (await api.register()).id, make="Wolga", model="Moloko", expires_at=f"now() + interval '{hours} h'"
        )
        for hours in (1, 2)
    ]
    async with rows.database.transaction() as transaction:
        await collect_suggestions(transaction)
    assert await suggested() == ["Wolga Moloko"]
    # No job runs meanwhile.
    await rows.execute("UPDATE suggestions SET until = until - interval '1 hour'")
    assert await suggested() == []
    assert first < second


async def test_a_renewed_listing_ends_later_and_is_on_top_once_a_day(api: Api, rows: Rows) -> None:
    seller, category_id = await api.register(), await rows.category()
    first, second, third = [await rows.listing(seller.id, category_id, title="Gazelle") for _ in range(3)]
    await ends(rows, first)
    renewed = await renew(api, seller, first)
    assert (renewed["id"], renewed["ended"]) == (first, False)
    assert 59.9 < days_until(renewed["expires_at"]) <= 60
    lists = ("", "?q=gazelle", "?q=gazelle&sort=newest", f"?category_id={category_id}", f"?seller_id={seller.id}",
             "?status=any", f"?category_id={category_id}&q=gazelle&price_max=9")  # fmt: skip
    for query in lists[:-1]:
        for who in (None, seller):
            assert await found(api, query, who) == [first, third, second], query
    problem = await renew(api, seller, first, 409)
    assert problem["type"] == "/problems/renewed-recently"
    assert 0.99 < days_until(problem["again_at"]) <= 1
    assert problem["again_at"] in problem["detail"]
    response = await api.client.put(f"/api/listings/{first}/renewed", headers=seller.headers)
    assert 86_300 < int(response.headers["Retry-After"]) <= 86_400
    await renew(api, seller, second)
    assert await found(api) == [second, first, third]
    await rows.execute("UPDATE listings SET renewed_at = now() - interval '1 day' WHERE id = %s", first)
    await renew(api, seller, first)
    assert await found(api) == [first, second, third]


async def test_of_many_renewals_at_once_one_is_carried_out(api: Api, rows: Rows) -> None:
    seller = await api.register()
    listing_id = await rows.listing(seller.id)
    path = f"/api/listings/{listing_id}/renewed"
    answers = await asyncio.gather(*(api.client.put(path, headers=seller.headers) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409, 409]


async def test_its_seller_is_told_once_before_a_listing_ends_and_again_after_a_renewal(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    listing_id, sold = await offer(told.api, rows, seller), await offer(told.api, rows, seller)
    await change(told.api, seller, sold, status="sold")
    await told.tell()
    for one in (listing_id, sold):
        await ends(rows, one, SOON)
    [(event, payload)] = await told.news(seller)
    assert (event, payload["kind"], payload["listing_id"]) == ("ends", "ends", listing_id)
    assert 4.9 < days_until(payload["until"]) < 5
    assert payload["listing"] == await told.api.call("GET", f"/api/listings/{listing_id}", 200)
    [alert] = await told.api.every_page("/api/alerts", who=seller)
    assert alert == payload
    await change(told.api, seller, listing_id, price=1)
    assert await told.news(seller) == await told.news(buyer) == []
    await renew(told.api, seller, listing_id)
    await ends(rows, listing_id, SOON)
    assert await told.kinds(seller) == [("ends", listing_id)]
    await ends(rows, listing_id)
    assert await told.news(seller) == []


async def test_several_apis_tell_each_end_once(
    make_api: MakeApi, hub: MemoryHub, settings: Settings, rows: Rows
) -> None:
    one, other = await told_by(make_api, hub, settings), await told_by(make_api, hub, settings)
    seller = await one.api.register()
    await one.listens(seller)
    ids = [await rows.listing(seller.id, expires_at=SOON) for _ in range(120)]
    await one.tell()
    one.broadcasts.seen.clear()
    await rows.execute("DELETE FROM alerts")
    await rows.execute("UPDATE listings SET end_told = 0, expires_at = expires_at - interval '1 hour'")
    await asyncio.gather(one.tell(), other.tell(), one.tell(), other.tell())
    events = [payload["listing_id"] for topic, event, payload in one.broadcasts.seen if event == "ends"]
    assert sorted(events) == ids


async def test_a_step_that_fails_leaves_its_ends_to_the_next_one(
    told: Told, rows: Rows, people: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, seller = people
    listing_id = await offer(told.api, rows, seller)
    await told.tell()
    await ends(rows, listing_id, SOON)
    with monkeypatch.context() as broken:
        broken.setattr("shared.repositories.matching._TELL_FAVOURITES", None)
        with pytest.raises(AttributeError):
            await told.services.telling.step()
    assert await told.kinds(seller) == [("ends", listing_id)]


async def test_whoever_has_a_favourite_is_told_once_that_it_has_ended(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    listing_id = await offer(told.api, rows, seller, price=9000)
    await like(told, buyer, listing_id)
    await told.tell()
    await ends(rows, listing_id)
    [(event, payload)] = await told.news(buyer)
    assert (event, payload["title"], payload["listing"]) == ("ended", "2015 Toyota Camry", None)
    assert await told.api.every_page("/api/me/favourites", who=buyer) == []
    assert [one["kind"] for one in await told.api.every_page("/api/alerts", who=buyer)] == ["ended"]
    # Nothing of it is told while it has ended, and no removal of what is gone already.
    await change(told.api, seller, listing_id, price=8000, title="A secret")
    assert await told.news(buyer) == []
    await renew(told.api, seller, listing_id)
    assert await told.kinds(buyer) == [("price_drop", listing_id)]
    await ends(rows, listing_id)
    assert await told.kinds(buyer) == [("ended", listing_id)]
    await told.api.call("DELETE", f"/api/listings/{listing_id}", 204, who=seller)
    assert await told.news(buyer) == []


@pytest.mark.parametrize("state", ["hidden_at = now()", "status = 'sold'", "trashed_at = now()"])
async def test_nobody_is_told_of_the_end_of_what_is_not_on_offer(
    told: Told, rows: Rows, people: tuple[Person, Person], state: str
) -> None:
    buyer, seller = people
    listing_id = await offer(told.api, rows, seller)
    await like(told, buyer, listing_id)
    await rows.execute(f"UPDATE listings SET {state} WHERE id = %s", listing_id)
    await told.tell()
    told.broadcasts.seen.clear()
    await ends(rows, listing_id)
    assert await told.news(buyer) == []


async def test_a_saved_search_matches_no_ended_listing_and_a_renewed_one_is_no_news(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    await save(told.api, buyer, q="camry")
    listing_id = await offer(told.api, rows, seller)
    assert await told.kinds(buyer) == [("match", listing_id)]
    # Somebody who saves the search now has seen the car in the list.
    later = await told.api.register("Late")
    await told.listens(later)
    await save(told.api, later, q="camry")
    await ends(rows, listing_id)
    ended = await rows.listing(seller.id, expires_at="now()", title="2015 Toyota Camry")
    assert await told.news(buyer) == await told.news(later) == []
    for one in (listing_id, ended):
        await renew(told.api, seller, one)
    assert await told.news(later) == []
    await told.tell()
    assert await told.news(buyer) == []


async def test_people_who_look_at_a_listing_are_checked_again_when_it_ends(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    _, seller = people
    listing_id = await offer(told.api, rows, seller)
    await told.tell()
    await told.broker.subscribe(listing(listing_id))
    await ends(rows, listing_id)
    told.broadcasts.seen.clear()
    await told.tell()
    topic, payload = listing(listing_id), {"id": listing_id}
    assert told.broadcasts.seen == [(topic, LOOK_AGAIN, payload), (topic, LISTING_UPDATED, payload)]
    told.broadcasts.seen.clear()
    await told.api.call("POST", f"/api/listings/{listing_id}/replies", 201, who=seller, json={"text": "A secret"})
    assert [event for _, event, _ in told.broadcasts.seen] == [LOOK_AGAIN, "reply_created"]
