"""Mails about what happens to people's listings, searches and favourites, as each person chooses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.domain.mails import MAX_ITEMS
from shared.domain.users import Role
from shared.pubsub.memory import MemoryHub
from shared.settings import Settings
from tests.api.alerts.telling import Told, told_by
from tests.api.conftest import MakeApi, Person
from tests.api.rows import Rows


@pytest.fixture
async def told(make_api: MakeApi, hub: MemoryHub, settings: Settings) -> Told:
    return await told_by(make_api, hub, settings)


async def mails(rows: Rows, who: Person) -> list[tuple[str, dict[str, Any]]]:
    """Kind and facts of the person's mails that tell news, oldest first; they are gone afterwards."""
    found = await rows.fetch(
        "SELECT kind, facts::text FROM outbox WHERE user_id = %s AND kind <> 'address_confirm' ORDER BY id", who.id
    )
    await rows.execute("DELETE FROM outbox WHERE user_id = %s", who.id)
    return [(kind, json.loads(facts)) for kind, facts in found]


async def choose(told: Told, who: Person, kind: str, choice: str) -> None:
    await told.api.call("PATCH", "/api/me/mail", 200, who=who, json={"kind": kind, "choice": choice})


async def a_day_passes(rows: Rows) -> None:
    await rows.execute("UPDATE chores SET done_at = done_at - interval '2 days'")
    await rows.execute("UPDATE daily_mails SET sent_at = sent_at - interval '2 days'")


async def test_a_seller_is_told_what_a_moderator_does_with_the_listing_and_why(told: Told, rows: Rows) -> None:
    api = told.api
    ann, moderator = await api.register("Ann"), await api.register("Mo", Role.MODERATOR)
    listing = await rows.listing(ann.id, title="A blue car")
    about = {"name": "Ann", "title": "A blue car", "listing_id": listing}
    body = {"reason": "Stolen pictures", "until": "2099-01-01T00:00:00.000000Z"}
    await api.call("PUT", f"/api/listings/{listing}/hidden", 200, who=moderator, json=body)
    assert await mails(rows, ann) == [("moderated", {**about, "is_hidden": True, **body})]
    await api.call("DELETE", f"/api/listings/{listing}/hidden", 204, who=moderator)
    await api.call("DELETE", f"/api/listings/{listing}/hidden", 204, who=moderator)
    shown = ("moderated", {**about, "is_hidden": False, "reason": None, "until": None})
    assert await mails(rows, ann) == [shown]
    await rows.execute("UPDATE listings SET trashed_at = now() WHERE id = %s", listing)
    await api.call("POST", f"/api/trash/{listing}/restore", 200, who=moderator, json={})
    assert await mails(rows, ann) == [shown]
    await choose(told, ann, "moderated", "never")
    await api.call("PUT", f"/api/listings/{listing}/hidden", 200, who=moderator, json={})
    own = await rows.listing(moderator.id)
    await api.call("PUT", f"/api/listings/{own}/hidden", 200, who=moderator, json={})
    assert await mails(rows, ann) + await mails(rows, moderator) == []


async def test_who_is_banned_is_told_until_when_and_why(told: Told, rows: Rows) -> None:
    api = told.api
    ann, admin = await api.register("Ann"), await api.register("Al", Role.ADMIN)
    body = {"reason": "Fraud", "until": "2099-01-01T00:00:00.000000Z"}
    await api.call("PUT", f"/api/users/{ann.id}/ban", 200, who=admin, json=body)
    [(kind, facts)] = await mails(rows, ann)
    assert facts.pop("sanction_id") > 0
    assert (kind, facts) == ("banned", {"name": "Ann", "is_suspension": False, **body})
    # A ban that is refused tells nobody.
    await api.call("PUT", f"/api/users/{admin.id}/ban", 409, who=admin, json=body)
    assert await mails(rows, admin) == []


async def test_matches_and_cheaper_favourites_are_told_at_once_to_who_wants_that(told: Told, rows: Rows) -> None:
    api = told.api
    bob, ann = await api.register("Bob"), await api.register("Ann")
    await api.call("POST", "/api/searches", 201, who=bob, json={"name": "Fords", "query": {"make": "Ford"}})
    for kind in ("match", "price_drop"):
        await choose(told, bob, kind, "at_once")
    listings = [await rows.listing(ann.id, title=f"Ford {n}", make="Ford", price=9000) for n in range(MAX_ITEMS + 2)]
    await told.tell()
    [(kind, facts)] = await mails(rows, bob)
    assert (kind, facts["name"], facts["more"], len(facts["items"])) == ("match", "Bob", 2, MAX_ITEMS)
    first = {"listing_id": listings[0], "title": "Ford 0", "price": 9000, "price_before": None, "search": "Fords"}
    assert facts["items"][0] == first
    assert await mails(rows, ann) == []
    await choose(told, bob, "match", "never")
    await api.call("PUT", f"/api/listings/{listings[0]}/favourite", 204, who=bob)
    await api.call("PATCH", f"/api/listings/{listings[0]}", 200, who=ann, json={"price": 8000})
    await told.tell()
    [(kind, facts)] = await mails(rows, bob)
    assert (kind, facts["more"]) == ("price_drop", 0)
    assert facts["items"] == [{**first, "price": 8000, "price_before": 9000, "search": None}]


async def test_otherwise_one_mail_a_day_has_what_the_person_has_not_seen(told: Told, rows: Rows) -> None:
    api = told.api
    bob, ann = await api.register("Bob"), await api.register("Ann")
    await api.call("POST", "/api/searches", 201, who=bob, json={"name": "Fords", "query": {"make": "Ford"}})

    async def offer(title: str) -> None:
        await rows.listing(ann.id, title=title, make="Ford", price=9000)
        await told.tell()

    async def titles() -> list[list[str]]:
        await told.services.chores.do()
        return [[one["title"] for one in facts["items"]] for _, facts in await mails(rows, bob)]

    await offer("First")
    await offer("Second")
    assert await mails(rows, bob) == []
    assert await titles() == [["First", "Second"]]
    await offer("Third")
    await rows.execute("UPDATE chores SET done_at = done_at - interval '1 hour'")
    assert await titles() == [], "only one a day"
    await a_day_passes(rows)
    assert await titles() == [["Third"]]
    await offer("Fourth")
    newest = (await api.call("GET", "/api/alerts", 200, who=bob))["data"][0]["id"]
    await api.call("PUT", "/api/alerts/seen", 200, who=bob, json={"up_to": newest})
    await a_day_passes(rows)
    assert await titles() == [], "it was seen on the page"
    await offer("Fifth")
    await choose(told, bob, "match", "never")
    await a_day_passes(rows)
    assert await titles() == []


async def test_nobody_whose_address_may_be_somebody_elses_gets_news(told: Told, rows: Rows) -> None:
    api = told.api
    bob, ann = await api.register("Bob"), await api.register("Ann")
    await rows.execute("UPDATE users SET must_confirm = true WHERE id = %s", bob.id)
    await api.call("POST", "/api/searches", 201, who=bob, json={"name": "Fords", "query": {"make": "Ford"}})
    await choose(told, bob, "match", "at_once")
    await rows.listing(ann.id, title="Ford", make="Ford", price=9000)
    await told.tell()
    assert await mails(rows, bob) == []
