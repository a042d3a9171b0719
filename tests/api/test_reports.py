"""Reports about listings, the moderators' queue of reports, and the log of what moderators and admins did."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from shared.domain.users import Role
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Api, Person
from tests.api.rows import Rows
from tests.support.roles import as_owner

pytestmark = pytest.mark.usefixtures("at_rest")


async def test_a_user_can_report_a_listing_once(api: Api, rows: Rows) -> None:
    seller, buyer, other = [await api.register() for _ in range(3)]
    moderator = await api.register(role=Role.MODERATOR)
    path = f"/api/listings/{await rows.listing(seller.id)}/reports"
    report = await api.call("POST", path, 201, who=buyer, json={"reason": "fraud", "text": "Not his car."})
    assert report.items() >= {"reason": "fraud", "text": "Not his car.", "reporter_id": buyer.id}.items()
    assert report["resolved_at"] is None
    problem = await api.call("POST", path, 409, who=buyer, json={"reason": "spam"})
    assert problem["type"] == "/problems/already-reported"
    await api.call("POST", path, 201, who=other, json={"reason": "spam"})
    await api.call("PUT", f"/api/reports/{report['id']}/resolved", 200, who=moderator)
    await api.call("POST", path, 409, who=buyer, json={"reason": "spam"})


async def test_a_report_that_was_resolved_can_be_made_again_after_a_change(api: Api, rows: Rows) -> None:
    seller, buyer = await api.register(), await api.register()
    moderator = await api.register(role=Role.MODERATOR)
    listing = f"/api/listings/{await rows.listing(seller.id)}"
    for title in ("Cheaper", "Cheaper still"):
        report = await api.call("POST", f"{listing}/reports", 201, who=buyer, json={"reason": "spam"})
        # A change alone is no reason for a second open report.
        await api.call("PATCH", listing, 200, who=seller, json={"title": f"{title}?"})
        await api.call("POST", f"{listing}/reports", 409, who=buyer, json={"reason": "spam"})
        await api.call("PUT", f"/api/reports/{report['id']}/resolved", 200, who=moderator)
        await api.call("POST", f"{listing}/reports", 409, who=buyer, json={"reason": "spam"})
        await api.call("PATCH", listing, 200, who=seller, json={"title": title})
    await api.call("POST", f"{listing}/reports", 201, who=buyer, json={"reason": "fraud"})
    queue = await api.every_page("/api/reports", who=moderator, limit=2)
    assert [(one["reason"], one["report_count"]) for one in queue] == [("fraud", 1)]


async def test_two_reports_of_one_person_at_once_are_one(api: Api, rows: Rows) -> None:
    seller, buyer = await api.register(), await api.register()
    path = f"/api/listings/{await rows.listing(seller.id)}/reports"
    bodies = [{"reason": "spam"}] * 5
    answers = await asyncio.gather(*(api.client.post(path, json=body, headers=buyer.headers) for body in bodies))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]


async def test_ones_own_listing_cannot_be_reported(api: Api, rows: Rows) -> None:
    seller = await api.register()
    path = f"/api/listings/{await rows.listing(seller.id)}/reports"
    problem = await api.call("POST", path, 409, who=seller, json={"reason": "spam"})
    assert problem["type"] == "/problems/conflict"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reason"),
        ({"reason": "envy"}, "reason"),
        ({"reason": None}, "reason"),
        ({"reason": ["spam"]}, "reason"),
        ({"reason": "spam", "text": " "}, "text"),
        ({"reason": "spam", "text": "x" * 1001}, "text"),
        ({"reason": "spam", "text": "nul \x00"}, "text"),
        ({"reason": "spam", "listing_id": 1}, "listing_id"),
    ],
)
async def test_a_wrong_report_is_refused(api: Api, rows: Rows, body: dict[str, Any], field: str) -> None:
    seller, buyer = await api.register(), await api.register()
    path = f"/api/listings/{await rows.listing(seller.id)}/reports"
    problem = await api.call("POST", path, 422, who=buyer, json=body)
    assert set(problem["errors"]) == {field}
    await api.call("POST", path, 201, who=buyer, json={"reason": "spam", "text": None})


async def test_a_user_cannot_report_an_invisible_listing(api: Api, rows: Rows) -> None:
    seller, buyer = await api.register(), await api.register()
    for column in ("hidden_at", "trashed_at"):
        listing_id = await rows.listing(seller.id, None, **{column: "now()"})
        await api.call("POST", f"/api/listings/{listing_id}/reports", 404, who=buyer, json={"reason": "spam"})
    await api.call("POST", "/api/listings/99/reports", 404, who=buyer, json={"reason": "spam"})
    await api.call("POST", "/api/listings/1/reports", 401, json={"reason": "spam"})


async def test_the_queue_has_the_most_reported_listing_first_and_no_resolved_reports(api: Api, rows: Rows) -> None:
    moderator = await api.register(role=Role.MODERATOR)
    users = [await api.register(f"User {number}") for number in range(3)]
    category_id = await rows.category()
    seller = await api.register()
    listings = [await rows.listing(seller.id, category_id) for _ in range(3)]
    for listing_id, reporters in zip(listings, (1, 3, 2), strict=True):
        for user in users[:reporters]:
            await api.call("POST", f"/api/listings/{listing_id}/reports", 201, who=user, json={"reason": "spam"})
    queue = await api.every_page("/api/reports", who=moderator, limit=2)
    assert [report["listing"]["id"] for report in queue] == [2, 2, 2, 3, 3, 1]
    assert [report["report_count"] for report in queue] == [3, 3, 3, 2, 2, 1]
    assert queue[0]["reporter"] == {"id": users[0].id, "name": "User 0"}
    assert queue[0]["listing"].items() >= {"id": 2, "title": "A car", "trashed": False, "hidden": False}.items()
    assert queue[0]["person"] == {"id": seller.id, "name": "Somebody"}
    for report in queue[:2]:
        resolved = await api.call("PUT", f"/api/reports/{report['id']}/resolved", 200, who=moderator)
        assert resolved["resolved_by"] == moderator.id
        assert resolved == await api.call("PUT", f"/api/reports/{report['id']}/resolved", 200, who=moderator)
    queue = await api.every_page("/api/reports", who=moderator, limit=100)
    assert [report["listing"]["id"] for report in queue] == [3, 3, 1, 2]


async def test_pages_of_the_queue_neither_repeat_nor_skip_while_reports_change(api: Api, rows: Rows) -> None:
    moderator = await api.register(role=Role.MODERATOR)
    users = [await api.register() for _ in range(3)]
    category_id = await rows.category()
    seller = await api.register()
    listings = [await rows.listing(seller.id, category_id) for _ in range(4)]
    for listing_id in listings:
        for user in users[:2]:
            await api.call("POST", f"/api/listings/{listing_id}/reports", 201, who=user, json={"reason": "spam"})
    first = await api.call("GET", "/api/reports?limit=3", 200, who=moderator)
    await api.call("POST", f"/api/listings/{listings[3]}/reports", 201, who=users[2], json={"reason": "spam"})
    await api.call("PUT", f"/api/reports/{first['data'][0]['id']}/resolved", 200, who=moderator)
    rest = await api.call("GET", "/api/reports", 200, who=moderator, params={"cursor": first["next_cursor"]})
    assert [report["id"] for report in first["data"] + rest["data"]] == list(range(1, 9))


async def test_people_messages_and_replies_can_be_reported_and_moderators_see_what_was_written(
    api: Api, rows: Rows
) -> None:
    moderator = await api.register("Mona", Role.MODERATOR)
    ann, bob, eve = await api.register("Ann"), await api.register("Bob"), await api.register("Eve")
    listing_id = await rows.listing(ann.id, title="Replied car")
    sent = {"to": ann.id, "message": "Pay me first."}
    message = await api.call("POST", "/api/messages", 201, who=eve, json=sent)
    reply = await api.call("POST", f"/api/listings/{listing_id}/replies", 201, who=eve, json={"text": "Buy mine!"})

    async def report(who: Person, path: str, status: int = 201, reason: str = "fraud") -> Any:
        return await api.call("POST", f"/api/{path}/reports", status, who=who, json={"reason": reason, "text": "Look."})

    about_message = await report(ann, f"messages/{message['id']}")
    about = {
        "user_id": eve.id,
        "message_id": message["id"],
        "reply_id": None,
        "listing_id": None,
        "reporter_id": ann.id,
    }
    assert about_message.items() >= about.items()
    about_reply = await report(bob, f"replies/{reply['id']}")
    await report(bob, f"users/{eve.id}")
    await report(bob, f"listings/{listing_id}")
    # Each once while it is open, nobody themselves, and messages only those who got them.
    for who, path in ((ann, f"messages/{message['id']}"), (bob, f"replies/{reply['id']}"), (bob, f"users/{eve.id}")):
        assert (await report(who, path, 409))["type"] == "/problems/already-reported"
    for who, path in ((eve, f"users/{eve.id}"), (eve, f"replies/{reply['id']}")):
        assert (await report(who, path, 409))["type"] == "/problems/conflict"
    for who in (eve, bob, moderator):
        await report(who, f"messages/{message['id']}", 404)
    for path in ("users/99", "messages/99", "replies/99"):
        await report(ann, path, 404)
    assert set((await report(ann, f"users/{eve.id}", 422, "sold"))["errors"]) == {"reason"}

    # What was written stays to be seen, also after it was deleted.
    await api.call("DELETE", f"/api/replies/{reply['id']}", 204, who=eve)
    queue = await api.every_page("/api/reports", who=moderator, limit=1)
    assert [(one["person"]["name"], one["quote"], one["report_count"]) for one in queue] == [
        ("Eve", "Pay me first.", 3),
        ("Eve", "Buy mine!", 3),
        ("Eve", None, 3),
        ("Ann", None, 1),
    ]
    assert [one["listing"] and one["listing"]["title"] for one in queue] == [None, None, None, "Replied car"]
    assert (await api.call("GET", "/api/reports?limit=1", 200, who=moderator))["open"] == 4

    # A report that was resolved by mistake is opened again, unless its reporter has made another.
    resolved = f"/api/reports/{about_reply['id']}/resolved"
    await api.call("PUT", resolved, 200, who=moderator)
    assert (await api.call("GET", "/api/reports", 200, who=moderator))["open"] == 3
    for _ in range(2):
        opened = await api.call("DELETE", resolved, 200, who=moderator)
        assert (opened["resolved_at"], opened["resolved_by"]) == (None, None)
    first = f"/api/reports/{about_message['id']}/resolved"
    await api.call("PUT", first, 200, who=moderator)
    await report(ann, f"messages/{message['id']}", 409)
    await api.call("POST", "/api/messages", 201, who=eve, json=sent)
    await report(ann, f"messages/{message['id']}")
    assert (await api.call("DELETE", first, 409, who=moderator))["type"] == "/problems/already-reported"
    log = await rows.fetch("SELECT action, details::text FROM audit ORDER BY id")
    assert [action for action, _ in log] == ["report_resolve", "report_reopen", "report_resolve"]
    assert f'"user_id": {eve.id}' in log[0][1]


async def test_a_person_can_be_reported_again_once_they_have_another_name(api: Api, rows: Rows) -> None:
    moderator, ann, eve = await api.register(role=Role.MODERATOR), await api.register("Ann"), await api.register("Eve")
    path, body = f"/api/users/{eve.id}/reports", {"reason": "offensive"}
    made = await api.call("POST", path, 201, who=ann, json=body)
    await api.call("PUT", f"/api/reports/{made['id']}/resolved", 200, who=moderator)
    for profile in ({"name": "Eve"}, {"takes_requests": False}):
        await api.call("PATCH", "/api/me", 200, who=eve, json=profile)
        await api.call("POST", path, 409, who=ann, json=body)
    await api.call("PATCH", "/api/me", 200, who=eve, json={"name": "Rude Eve"})
    await api.call("POST", path, 201, who=ann, json=body)
    # Nothing of it is left of who leaves.
    await api.call("DELETE", "/api/me", 204, who=eve, json={"current_password": PASSWORD})
    assert await rows.fetch("SELECT name, renamed_at FROM users WHERE id = %s", eve.id) == [("", None)]


async def test_an_unknown_report_is_404(api: Api) -> None:
    moderator = await api.register(role=Role.MODERATOR)
    for report_id in ("1", "0", "x", str(2**63)):
        for method in ("PUT", "DELETE"):
            await api.call(method, f"/api/reports/{report_id}/resolved", 404, who=moderator)


async def test_the_log_has_actor_action_target_time_and_reason_newest_first(api: Api, rows: Rows) -> None:
    admin, moderator = await api.register("Root", Role.ADMIN), await api.register("Mona", Role.MODERATOR)
    user = await api.register()
    listing_id = await rows.listing(admin.id)
    report = await api.call("POST", f"/api/listings/{listing_id}/reports", 201, who=user, json={"reason": "sold"})
    await api.call("PUT", f"/api/users/{user.id}/ban", 200, who=admin, json={"reason": "fraud"})
    await api.call("DELETE", f"/api/users/{user.id}/ban", 204, who=admin)
    await api.call("PUT", f"/api/users/{user.id}/role", 200, who=admin, json={"role": "moderator"})
    for _ in range(2):
        await api.call("PUT", f"/api/reports/{report['id']}/resolved", 200, who=moderator)
    log = await api.every_page("/api/audit", who=admin, limit=1)
    assert [(act["actor"]["name"], act["action"], act["target"]["type"], act["target"]["id"]) for act in log] == [
        ("Mona", "report_resolve", "report", report["id"]),
        ("Root", "role_change", "user", user.id),
        ("Root", "unban", "user", user.id),
        ("Root", "ban", "user", user.id),
    ]
    assert log[3]["reason"] == "fraud"
    assert log[1]["details"] == {"from": "user", "to": "moderator"}
    assert [act["target"]["name"] for act in log] == [None, "Somebody", "Somebody", "Somebody"]
    found = await api.every_page("/api/audit?action=ban", who=admin, limit=1)
    assert [act["action"] for act in found] == ["ban"]
    found = await api.every_page(f"/api/audit?actor_id={moderator.id}", who=admin, limit=1)
    assert [act["actor"]["name"] for act in found] == ["Mona"]
    await api.call("GET", "/api/audit?actor_id=x", 422, who=admin)
    assert all(act["created_at"].endswith("Z") for act in log)


@pytest.mark.parametrize("statement", ["UPDATE audit SET action = 'nothing'", "DELETE FROM audit", "TRUNCATE audit"])
async def test_nobody_can_change_the_log(api: Api, settings: Settings, statement: str) -> None:
    """The processes' role has no right to; of everybody else, a trigger refuses it."""
    admin, user = await api.register(role=Role.ADMIN), await api.register()
    await api.call("PUT", f"/api/users/{user.id}/ban", 200, who=admin, json={"reason": "fraud"})
    for refused, url in (
        ("permission denied", settings.database_url),
        ("append-only", as_owner(settings.database_url)),
    ):
        with (
            closing(psycopg2.connect(url)) as connection,
            connection.cursor() as cursor,
            pytest.raises(psycopg2.Error, match=refused),
        ):
            cursor.execute(statement)
    assert len((await api.call("GET", "/api/audit", 200, who=admin))["data"]) == 1
