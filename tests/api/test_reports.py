"""Reports about listings, the moderators' queue of reports, and the log of what moderators and admins did."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from shared.domain.users import Role
from shared.settings import Settings
from tests.api.conftest import Api
from tests.api.rows import Rows
from tests.support.roles import as_owner


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
    assert problem["detail"] == "It is your own listing."


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
    assert queue[0]["listing"] == {"id": 2, "title": "A car", "trashed": False}
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


async def test_an_unknown_report_is_404(api: Api) -> None:
    moderator = await api.register(role=Role.MODERATOR)
    for report_id in ("1", "0", "x", str(2**63)):
        await api.call("PUT", f"/api/reports/{report_id}/resolved", 404, who=moderator)


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
