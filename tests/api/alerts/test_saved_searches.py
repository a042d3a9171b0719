"""Saved searches: who has one is told of each listing that begins to match it, once, and once more below its price."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.domain.alerts import MAX_SEARCHES
from shared.domain.users import Role
from shared.events import control
from shared.postgres import DatabaseUnavailable
from shared.pubsub.memory import MemoryHub
from shared.settings import Settings
from tests.api.alerts.telling import Told, told_by
from tests.api.conftest import Api, MakeApi, Person
from tests.api.rows import Rows
from tests.api.test_listing_search import collect
from tests.api.test_metrics import samples


async def save(api: Api, who: Person, **query: Any) -> Any:
    body = {"name": "Mine", "query": query}
    return await api.call("POST", "/api/searches", 201, who=who, json=body)


async def offer(api: Api, rows: Rows, seller: Person, **fields: Any) -> int:
    body = {"title": "2015 Toyota Camry", "content": "One owner.", "category_id": await rows.category(), **fields}
    return int((await api.call("POST", "/api/listings", 201, who=seller, json=body))["id"])


async def change(api: Api, seller: Person, listing_id: int, **fields: Any) -> None:
    await api.call("PATCH", f"/api/listings/{listing_id}", 200, who=seller, json=fields)


# What is told


async def test_a_match_is_told_once_with_the_listing_and_the_search(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    search = await save(told.api, buyer, q="camry", price_max=10000)
    assert search == {
        "id": search["id"],
        "name": "Mine",
        "query": {"q": "camry", "price_max": "10000"},
        "created_at": search["created_at"],
        "unseen": 0,
    }
    listing_id = await offer(told.api, rows, seller, price=9500)
    await offer(told.api, rows, seller, price=10500)
    [(event, payload)] = await told.news(buyer)
    assert event == payload["kind"] == "match"
    assert payload["search"] == {"id": search["id"], "name": "Mine"}
    assert payload["listing"] == await told.api.call("GET", f"/api/listings/{listing_id}", 200)
    assert (payload["listing_id"], payload["title"]) == (listing_id, "2015 Toyota Camry")
    assert (payload["price"], payload["price_before"], payload["seen_at"]) == (9500, None, None)
    assert await told.news(buyer) == await told.news(seller) == []
    listed = await told.api.call("GET", "/api/alerts", 200, who=buyer)
    assert (listed["data"], listed["unseen"]) == ([payload], 1)
    await change(told.api, seller, listing_id, content="Two owners, to be honest.")
    assert await told.news(buyer) == []


async def test_a_cheaper_listing_is_told_once_more_for_each_lower_price(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    await save(told.api, buyer, q="camry")
    listing_id = await offer(told.api, rows, seller, price=10200)
    prices = []
    for price in (None, 9500, 9900, 9500, 9499):
        if price is not None:
            await change(told.api, seller, listing_id, price=price)
        prices.append([(one["price"], one["price_before"]) for _, one in await told.news(buyer)])
    assert prices == [[(10200, None)], [(9500, 10200)], [], [], [(9499, 9500)]]


async def test_a_listing_is_told_when_an_edit_makes_it_match_and_not_if_it_matched_before_the_search_was_saved(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    dear, known, other = [await offer(told.api, rows, seller, price=price) for price in (12000, 9000, 9001)]
    await told.tell()
    await save(told.api, buyer, price_max=10000, q="camry")
    await change(told.api, seller, known, content="A typo less.")
    assert await told.kinds(buyer) == []
    await change(told.api, seller, dear, price=9999)
    await change(told.api, seller, other, price=8000)
    assert [(one["listing_id"], one["price_before"]) for _, one in await told.news(buyer)] == [
        (dear, None),
        (other, 9001),
    ]


async def test_each_search_that_a_listing_matches_is_told_and_no_other(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    category_id = await rows.category()
    car = {
        "make": "Toyota",
        "model": "Camry",
        "year": 2015,
        "mileage": 50000,
        "price": 9000,
        "category_id": category_id,
    }
    right: list[dict[str, Any]] = [
        {},
        {"q": "toyota"},
        {"q": "camry one"},
        {"make": "TOYOTA"},
        {"model": "camry", "make": "toyota"},
        {"year_min": 2015, "year_max": 2015},
        {"price_min": 9000, "price_max": 9000},
        {"mileage_max": 50000},
        {"seller_id": seller.id},
        {"category_id": category_id},
        {"status": "any"},
        {"status": "available", "sort": "-price"},
    ]
    wrong: list[dict[str, Any]] = [
        {"q": "corolla"},
        {"q": "!?"},
        {"make": "Honda"},
        {"year_min": 2016},
        {"year_max": 2014},
        {"price_min": 9001},
        {"price_max": 8999},
        {"mileage_max": 49999},
        {"seller_id": buyer.id},
        {"category_id": await rows.category()},
        {"status": "sold"},
    ]
    expected = {(await save(told.api, buyer, **query))["id"] for query in right}
    for query in wrong:
        await save(told.api, buyer, **query)
    await offer(told.api, rows, seller, **car)
    news = await told.news(buyer)
    assert {one["search"]["id"] for _, one in news} == expected
    assert len(news) == len(expected)


async def test_an_unknown_value_is_in_no_range(told: Told, rows: Rows, people: tuple[Person, Person]) -> None:
    buyer, seller = people
    for query in ({"price_max": 1}, {"price_min": 0}, {"mileage_max": 9}, {"year_min": 0}, {"year_max": 9999}):
        await save(told.api, buyer, **query)
    await offer(told.api, rows, seller)
    assert await told.news(buyer) == []


async def test_a_misspelled_search_is_corrected_by_words_that_the_vocabulary_learns_later(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    await save(told.api, buyer, q="zeekrr")
    await offer(told.api, rows, seller, title="A Zeekr")
    assert await told.news(buyer) == []
    for _ in range(2):
        await rows.listing((await told.api.register()).id, title="Zeekr", make="Zeekr", status="sold")
    await collect(rows)
    await rows.execute("INSERT INTO chores (name, done_at) VALUES ('vocabulary', clock_timestamp())")
    assert await told.services.telling.renew_words() == 1
    assert await told.services.telling.renew_words() == 0
    listing_id = await offer(told.api, rows, seller, title="Another Zeekr")
    assert await told.kinds(buyer) == [("match", listing_id)]


# Whom it is kept from


async def test_nobody_is_told_of_what_they_may_not_see_of_their_own_or_of_blocked_people(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    blocker, blocked, moderator = [
        await told.api.register(name, role)
        for name, role in (("Eve", Role.USER), ("Ed", Role.USER), ("Mo", Role.MODERATOR))
    ]
    everybody = (buyer, seller, blocker, blocked, moderator)
    await told.listens(blocker, blocked, moderator)
    await told.api.call("PUT", f"/api/users/{seller.id}/block", 200, who=blocker)
    await told.api.call("PUT", f"/api/users/{blocked.id}/block", 200, who=seller)
    for person in everybody:
        await save(told.api, person)
    category_id = await rows.category()
    hidden = await rows.listing(seller.id, category_id, hidden_at="now()")
    private = await rows.listing(seller.id, category_id, visibility="private")
    in_private = await rows.listing(seller.id, await rows.category("private"))
    await rows.listing(seller.id, category_id, trashed_at="now()")
    gone = await rows.category()
    in_gone = await rows.listing(seller.id, gone)
    await rows.execute("UPDATE categories SET deleted_at = now() WHERE id = %s", gone)
    await told.tell()
    assert in_gone
    got = {person.id: sorted(listing_id for _, listing_id in await told.kinds(person)) for person in everybody}
    assert got == {
        buyer.id: [private, in_private],
        seller.id: [],
        blocker.id: [],
        blocked.id: [],
        moderator.id: [hidden, private, in_private],
    }


async def test_a_hidden_listing_is_told_when_it_is_shown_or_its_time_has_passed_and_a_restored_one_too(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    admin = await told.api.register("Ada", Role.ADMIN)
    await save(told.api, buyer)
    category_id = await rows.category()
    hidden = await rows.listing(seller.id, category_id, hidden_at="now()")
    trashed = await rows.listing(seller.id, category_id, trashed_at="now()")
    until = await rows.listing(seller.id, category_id, hidden_at="now()")
    assert await told.kinds(buyer) == []
    await told.api.call("DELETE", f"/api/listings/{hidden}/hidden", 204, who=admin)
    await told.api.call("POST", f"/api/trash/{trashed}/restore", 200, who=admin, json={})
    assert await told.kinds(buyer) == [("match", hidden), ("match", trashed)]
    body = {"until": "2099-01-01T00:00:00Z"}
    await told.api.call("PUT", f"/api/listings/{until}/hidden", 200, who=admin, json=body)
    assert await told.kinds(buyer) == []
    # The time passes: only the entry that was made with the hiding is left.
    await rows.execute("UPDATE listings SET hidden_until = now() WHERE id = %s", until)
    await rows.execute("DELETE FROM listing_changes WHERE before IS NOT NULL")
    await rows.execute("UPDATE listing_changes SET due_at = now()")
    assert await told.kinds(buyer) == [("match", until)]


async def vanish_and_come_back(
    told: Told, rows: Rows, how: str, seller: Person, listing_id: int, admin: Person
) -> AsyncIterator[None]:
    """Make the listing vanish; yields, and lets it be seen again."""
    api, later = told.api, {"until": "2099-01-01T00:00:00Z", "reason": "Fraud?"}
    listing, user = f"/api/listings/{listing_id}", f"/api/users/{seller.id}/ban"
    match how:
        case "hidden and shown":
            await api.call("PUT", f"{listing}/hidden", 200, who=admin, json={})
            yield
            await api.call("DELETE", f"{listing}/hidden", 204, who=admin)
        case "hidden for a time":
            await api.call("PUT", f"{listing}/hidden", 200, who=admin, json=later)
            yield
            await time_passes(rows, "UPDATE listings SET hidden_until = now() WHERE id = %s", listing_id)
        case "in the trash and restored" | "in the trash and taken back":
            await api.call("DELETE", listing, 204, who=seller)
            yield
            who = seller if how.endswith("back") else admin
            await api.call("POST", f"/api/trash/{listing_id}/restore", 200, who=who, json={})
        case "of a banned seller":
            await api.call("PUT", user, 200, who=admin, json={"reason": "Fraud?"})
            yield
            await api.call("DELETE", user, 204, who=admin)
        case "of a seller who is banned for a time":
            await api.call("PUT", user, 200, who=admin, json=later)
            yield
            await time_passes(rows, "UPDATE users SET banned_until = now() WHERE id = %s", seller.id)


async def time_passes(rows: Rows, sql: str, row_id: int) -> None:
    """Let the end of a hiding or a ban come, which no trigger notices."""
    [[noted]] = await rows.fetch("SELECT max(id) FROM listing_changes")
    await rows.execute(sql, row_id)
    await rows.execute("DELETE FROM listing_changes WHERE id > %s", noted)
    await rows.execute("UPDATE listing_changes SET due_at = now() WHERE due_at < 'infinity'")


@pytest.mark.parametrize(
    "how",
    [
        "hidden and shown",
        "hidden for a time",
        "in the trash and restored",
        "in the trash and taken back",
        "of a banned seller",
        "of a seller who is banned for a time",
    ],
)
async def test_a_listing_that_is_seen_again_is_told_to_searches_that_did_not_know_it(
    told: Told, rows: Rows, people: tuple[Person, Person], how: str
) -> None:
    buyer, seller = people
    admin, later = await told.api.register("Ada", Role.ADMIN), await told.api.register("Lea")
    await told.listens(later)
    listing_id = await offer(told.api, rows, seller, price=10_000)
    assert await told.news(buyer) == []
    knows = await save(told.api, buyer, q="camry")
    cheaper = await save(told.api, buyer, price_max=9_000)
    steps = vanish_and_come_back(told, rows, how, seller, listing_id, admin)
    await anext(steps)
    assert await told.news(buyer) == []
    saved_since = await save(told.api, later, q="camry")
    await rows.execute("UPDATE listings SET content = 'Clean.', price = 8_000 WHERE id = %s", listing_id)
    assert await told.news(buyer) == await told.news(later) == []
    await anext(steps, None)
    news = [(one["search"]["id"], one["price_before"]) for _, one in await told.news(buyer)]
    assert sorted(news, key=lambda one: one[0]) == [(knows["id"], 10_000), (cheaper["id"], None)]
    assert await rows.fetch("SELECT count(*) FROM listing_changes") == [(0,)]
    alerts = await told.api.every_page("/api/alerts", who=later)
    assert [(one["search"]["id"], one["price_before"]) for one in alerts] == [(saved_since["id"], None)]


async def test_a_listing_that_is_seen_again_as_it_was_is_no_news(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    admin = await told.api.register("Ada", Role.ADMIN)
    listing_id = await offer(told.api, rows, seller)
    await told.tell()
    await save(told.api, buyer, q="camry")
    for how in (
        "hidden and shown",
        "in the trash and restored",
        "in the trash and taken back",
        "of a banned seller",
    ):
        steps = vanish_and_come_back(told, rows, how, seller, listing_id, admin)
        await anext(steps)
        await told.tell()
        await anext(steps, None)
        assert await told.news(buyer) == [], how


async def test_who_has_left_or_is_banned_is_told_nothing(told: Told, rows: Rows, people: tuple[Person, Person]) -> None:
    buyer, seller = people
    banned = await told.api.register()
    await told.listens(banned)
    await save(told.api, buyer)
    await save(told.api, banned)
    await rows.execute("UPDATE users SET banned_at = now(), ban_reason = 'spam' WHERE id = %s", banned.id)
    await told.api.call("DELETE", "/api/me", 204, who=buyer, json={"current_password": "correct horse battery"})
    await offer(told.api, rows, seller)
    assert await told.news(buyer) == await told.news(banned) == []


async def test_a_search_for_hidden_listings_is_for_moderators_and_finds_nothing_for_those_who_were(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    moderator = await told.api.register("Mo", Role.MODERATOR)
    await told.listens(moderator)
    body = {"name": "Hidden", "query": {"hidden": "false"}}
    await told.api.call("POST", "/api/searches", 403, who=buyer, json=body)
    search = await told.api.call("POST", "/api/searches", 201, who=moderator, json=body)
    await told.api.call("PATCH", f"/api/searches/{search['id']}", 200, who=moderator, json={"query": {"hidden": True}})
    await offer(told.api, rows, seller)
    hidden = await rows.listing(seller.id, hidden_at="now()")
    assert await told.kinds(moderator) == [("match", hidden)]
    await rows.execute("UPDATE users SET role = 'user' WHERE id = %s", moderator.id)
    await rows.listing(seller.id, hidden_at="now()")
    assert await told.news(moderator) == []
    assert (await told.api.call("GET", "/api/alerts", 200, who=moderator)) == {
        "data": [],
        "next_cursor": None,
        "unseen": 0,
    }


# The list of alerts


async def test_alerts_come_in_pages_and_are_marked_as_seen_up_to_one(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    search = await save(told.api, buyer)
    for _ in range(5):
        await offer(told.api, rows, seller)
    await told.tell()
    alerts = await told.api.every_page("/api/alerts", who=buyer)
    ids = [one["id"] for one in alerts]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 5
    assert (await told.api.call("GET", "/api/searches", 200, who=buyer))["data"][0]["unseen"] == 5
    told.broadcasts.seen.clear()
    answer = await told.api.call("PUT", "/api/alerts/seen", 200, who=buyer, json={"up_to": ids[2]})
    assert answer == {"unseen": 2}
    assert told.broadcasts.seen == [(f"alerts:{buyer.id}", "seen", {"up_to": ids[2], "unseen": 2})]
    listed = await told.api.call("GET", "/api/alerts", 200, who=buyer)
    assert [one["seen_at"] is not None for one in listed["data"]] == [False, False, True, True, True]
    assert listed["unseen"] == 2
    [again] = (await told.api.call("GET", "/api/searches", 200, who=buyer))["data"]
    assert again == {**search, "unseen": 2}


async def test_an_alert_of_a_listing_that_may_no_longer_be_seen_is_neither_listed_nor_counted(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    admin = await told.api.register("Ada", Role.ADMIN)
    await save(told.api, buyer)
    hidden, trashed, stays = [await offer(told.api, rows, seller) for _ in range(3)]
    await told.tell()
    await told.api.call("PUT", f"/api/listings/{hidden}/hidden", 200, who=admin, json={})
    await told.api.call("DELETE", f"/api/listings/{trashed}", 204, who=admin)
    listed = await told.api.call("GET", "/api/alerts", 200, who=buyer)
    assert ([one["listing_id"] for one in listed["data"]], listed["unseen"]) == ([stays], 1)
    assert [one["unseen"] for one in await told.api.every_page("/api/searches", who=buyer)] == [1]
    await told.api.call("PUT", f"/api/users/{seller.id}/block", 200, who=buyer)
    listed = await told.api.call("GET", "/api/alerts", 200, who=buyer)
    assert (listed["data"], listed["unseen"]) == ([], 0)


async def test_old_alerts_are_removed_and_not_told_again(told: Told, rows: Rows, people: tuple[Person, Person]) -> None:
    buyer, seller = people
    await save(told.api, buyer)
    listings = [await offer(told.api, rows, seller, price=9000) for _ in range(4)]
    assert len(await told.news(buyer)) == 4
    ids = [one["id"] for one in await told.api.every_page("/api/alerts", who=buyer)][::-1]
    for alert_id, days, is_seen in zip(ids, (31, 31, 181, 29), (True, False, False, True), strict=True):
        await rows.execute(
            "UPDATE alerts SET told_at = now() - make_interval(days => %s),"
            " seen_at = CASE WHEN %s THEN now() END WHERE id = %s",
            days,
            is_seen,
            alert_id,
        )
    await told.services.chores.do()
    left = [one["id"] for one in await told.api.every_page("/api/alerts", who=buyer)][::-1]
    assert left == [ids[1], ids[3]]
    await change(told.api, seller, listings[0], price=9000, content="Newly washed.")
    assert await told.news(buyer) == []


async def test_of_very_many_alerts_only_the_latest_are_kept(
    make_api: MakeApi, hub: MemoryHub, settings: Settings, rows: Rows
) -> None:
    told = await told_by(make_api, hub, settings, max_alerts_per_user=3)
    buyer, other, seller = [await told.api.register() for _ in range(3)]
    await save(told.api, buyer)
    for number in range(5):
        await offer(told.api, rows, seller)
        if number == 2:
            await save(told.api, other)
        await told.tell()
    ids = [[one["id"] for one in await told.api.every_page("/api/alerts", who=who)] for who in (buyer, other)]
    await told.services.chores.do()
    left = [[one["id"] for one in await told.api.every_page("/api/alerts", who=who)] for who in (buyer, other)]
    assert [len(one) for one in ids] == [5, 3]
    assert left == [ids[0][:3], ids[1]]


async def test_metrics_say_how_many_changes_wait_and_were_told(
    make_api: MakeApi, hub: MemoryHub, settings: Settings, rows: Rows
) -> None:
    told = await told_by(make_api, hub, settings, max_told_changes=2)
    buyer, seller = await told.api.register(), await told.api.register()
    await save(told.api, buyer)
    for _ in range(5):
        await offer(told.api, rows, seller)

    async def metrics() -> dict[str, float]:
        seen = await samples(told.api)
        return {name: seen[name, frozenset()] for name in ("api_waiting_changes", "api_told_changes_total")}

    await told.services.telling.step()
    assert await metrics() == {"api_waiting_changes": 3, "api_told_changes_total": 2}
    await told.tell()
    assert await metrics() == {"api_waiting_changes": 0, "api_told_changes_total": 5}
    seen = await samples(told.api)
    assert seen["api_alerts_total", frozenset()] == 5
    assert seen["api_telling_seconds_count", frozenset()] == 5
    assert seen["api_telling_seconds_sum", frozenset()] > 0
    assert len(await told.api.every_page("/api/alerts", who=buyer)) == 5


# Saved searches


async def test_searches_are_listed_changed_and_deleted_by_their_owner_only(
    told: Told, rows: Rows, people: tuple[Person, Person]
) -> None:
    buyer, seller = people
    searches = [await save(told.api, buyer, q=q) for q in ("camry", "corolla", "rav4")]
    assert await told.api.every_page("/api/searches", who=buyer) == searches[::-1]
    assert await told.api.every_page("/api/searches", who=seller) == []
    path = f"/api/searches/{searches[0]['id']}"
    for method, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
        await told.api.call(method, path, 404, who=seller, json=body)
    renamed = await told.api.call("PATCH", path, 200, who=buyer, json={"name": "A Prius"})
    assert renamed == {**searches[0], "name": "A Prius"}
    asked = await told.api.call("PATCH", path, 200, who=buyer, json={"query": {"q": "prius", "year_min": 2010}})
    assert asked == {**renamed, "query": {"q": "prius", "year_min": "2010"}}
    prius = await offer(told.api, rows, seller, title="A Prius", year=2011)
    await offer(told.api, rows, seller, title="A Prius", year=2009)
    assert await told.kinds(buyer) == [("match", prius)]
    await told.api.call("DELETE", path, 204, who=buyer)
    await told.api.call("DELETE", path, 404, who=buyer)
    assert (await told.api.call("GET", "/api/alerts", 200, who=buyer))["data"] == []
    await offer(told.api, rows, seller, title="A Prius", year=2012)
    assert await told.news(buyer) == []


async def test_a_person_has_at_most_fifty_searches_also_when_they_come_at_once(
    told: Told, people: tuple[Person, Person]
) -> None:
    buyer, _ = people
    for number in range(MAX_SEARCHES - 3):
        await save(told.api, buyer, year_min=1900 + number)
    body = {"name": "More", "query": {}}

    async def add() -> int:
        response = await told.api.client.post("/api/searches", json=body, headers=buyer.headers)
        return response.status

    statuses = await asyncio.gather(*(add() for _ in range(8)))
    assert sorted(statuses) == [201] * 3 + [409] * 5
    problem = await told.api.call("POST", "/api/searches", 409, who=buyer, json=body)
    assert problem["type"] == "/problems/too-many-searches"
    assert len(await told.api.every_page("/api/searches", who=buyer, limit=100)) == MAX_SEARCHES


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"name", "query"}),
        ({"name": " ", "query": {}}, {"name"}),
        ({"name": "x" * 101, "query": {}}, {"name"}),
        ({"name": None, "query": None}, {"name", "query"}),
        ({"name": "x", "query": []}, {"query"}),
        ({"name": "x", "query": "q=camry"}, {"query"}),
        ({"name": "x", "query": {}, "id": 1}, {"id"}),
        ({"name": "x", "query": {"upholstery": "red"}}, {"query.upholstery"}),
        ({"name": "x", "query": {"limit": "20"}}, {"query.limit"}),
        ({"name": "x", "query": {"cursor": "x"}}, {"query.cursor"}),
        ({"name": "x", "query": {"q": ""}}, {"query.q"}),
        ({"name": "x", "query": {"q": "\u0000"}}, {"query.q"}),
        ({"name": "x", "query": {"q": "\ud800"}}, {"query.q"}),
        ({"name": "x", "query": {"q": None}}, {"query.q"}),
        ({"name": "x", "query": {"q": ["camry"]}}, {"query.q"}),
        ({"name": "x", "query": {"price_max": -1}}, {"query.price_max"}),
        ({"name": "x", "query": {"price_max": 1.5}}, {"query.price_max"}),
        ({"name": "x", "query": {"price_max": 10**30}}, {"query.price_max"}),
        ({"name": "x", "query": {"price_max": "cheap", "year_min": True}}, {"query.price_max", "query.year_min"}),
        ({"name": "x", "query": {"status": "stolen"}}, {"query.status"}),
        ({"name": "x", "query": {"sort": "random"}}, {"query.sort"}),
    ],
)
async def test_a_wrong_search_is_422_with_the_field_and_changes_nothing(
    told: Told, people: tuple[Person, Person], body: Any, errors: set[str]
) -> None:
    buyer, _ = people
    search = await save(told.api, buyer, q="camry")
    answer = await told.api.call("POST", "/api/searches", 422, who=buyer, json=body)
    assert fields(answer["errors"]) == errors
    if "query" in body:
        path, change = f"/api/searches/{search['id']}", {**body, "name": body.get("name") or "x"}
        if errors - {"name"}:
            await told.api.call("PATCH", path, 422, who=buyer, json=change)
    assert await told.api.every_page("/api/searches", who=buyer) == [search]


def fields(errors: Any, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, error in errors.items():
        found |= fields(error, f"{prefix}{name}.") if isinstance(error, dict) else {prefix + name}
    return found


@pytest.mark.parametrize("up_to", [0, -1, "x", None, 2**63, [1]])
async def test_a_wrong_id_of_the_last_seen_alert_is_422(told: Told, people: tuple[Person, Person], up_to: Any) -> None:
    await told.api.call("PUT", "/api/alerts/seen", 422, who=people[0], json={"up_to": up_to})


async def test_after_a_step_that_failed_gateways_read_what_was_stored_and_not_published(
    make_api: MakeApi, hub: MemoryHub, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres may have committed a step whose answer was lost, as when it is killed at that moment."""
    told = await told_by(make_api, hub, settings)
    await told.broker.subscribe(control.CONTROL)
    telling = told.services.telling

    async def lost(*_: object) -> Any:
        raise DatabaseUnavailable("the answer was lost")

    with monkeypatch.context() as patched:
        patched.setattr(telling, "_step", lost)
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                await telling.step()
    assert [event for _, event, _ in told.broadcasts.seen] == []
    for _ in range(2):
        await telling.step()
    [(topic, event, payload)] = told.broadcasts.seen
    assert (topic, event) == (control.CONTROL, control.CATCH_UP)
    assert 0 < payload["seconds"] < 60
