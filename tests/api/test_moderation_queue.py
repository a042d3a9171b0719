"""The moderators' queue: groups, their order, closing them as a whole, the events, and the numbers of the weeks."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.moderation import DEEDS, MAX_DEEDS, MAX_ENTRIES, MAX_WEIGHT_OF_DEEDS, WEIGHTS
from shared.domain.reports import ReportReason
from shared.domain.users import Role
from shared.events.topics import MODERATION
from tests.api.conftest import Api, Broadcasts, Person
from tests.api.rows import Rows

QUEUE = "/api/moderation/queue"


async def report(api: Api, who: Person, path: str, reason: str = "spam") -> int:
    made = await api.call("POST", f"/api/{path}/reports", 201, who=who, json={"reason": reason})
    return int(made["id"])


async def queued(api: Api, who: Person, limit: int = 2) -> list[tuple[str, int, int]]:
    """The kind, id and weight of each group, in the order of the queue. The first page tells their number."""
    groups = await api.every_page(QUEUE, who=who, limit=limit)
    assert (await api.call("GET", QUEUE, 200, who=who, params={"limit": "1"}))["groups"] == len(groups)
    return [(one["kind"], one["id"], one["weight"]) for one in groups]


async def test_what_is_reported_is_grouped_by_listing_and_person_the_worst_first(api: Api, rows: Rows) -> None:
    mona = await api.register("Mona", Role.MODERATOR)
    ann, bob, eve = await api.register("Ann"), await api.register("Bob"), await api.register("Eve")
    cheap, dear = [await rows.listing(eve.id, title=title) for title in ("Cheap", "Dear")]
    sent = await api.call("POST", "/api/messages", 201, who=eve, json={"to": ann.id, "message": "Pay me first."})
    reply = await api.call("POST", f"/api/listings/{dear}/replies", 201, who=eve, json={"text": "Buy it!"})
    await report(api, ann, f"listings/{cheap}", "sold")
    await report(api, ann, f"listings/{dear}")
    await report(api, bob, f"listings/{dear}", "other")
    of_message = await report(api, ann, f"messages/{sent['id']}", "fraud")
    # However much one person reports, their gravest reason counts.
    of_reply = await report(api, ann, f"replies/{reply['id']}", "offensive")
    weight = {reason.value: number for reason, number in WEIGHTS.items()}
    assert await queued(api, mona, limit=1) == [
        ("person", eve.id, weight["fraud"]),
        ("listing", dear, weight["spam"] + weight["other"]),
        ("listing", cheap, weight["sold"]),
    ]
    answer = await api.call("GET", QUEUE, 200, who=mona)
    assert answer["open"] == 5
    person, listing, _ = answer["data"]
    assert person == await api.call("GET", f"{QUEUE}/people/{eve.id}", 200, who=mona)
    assert listing == await api.call("GET", f"{QUEUE}/listings/{dear}", 200, who=mona)
    assert person["person"] == listing["person"] == {"id": eve.id, "name": "Eve"}
    assert (person["reporters"], person["size"], listing["reporters"]) == (1, 2, 2)
    assert person["listing"] is None
    assert listing["listing"].items() >= {"id": dear, "title": "Dear", "hidden": False, "trashed": False}.items()
    shown = [(one["id"], one["reason"], one["quote"], one["listing_title"], one["by"]) for one in person["entries"]]
    by = {"id": ann.id, "name": "Ann"}
    assert shown == [
        (of_reply, "offensive", "Buy it!", "Dear", by),
        (of_message, "fraud", "Pay me first.", None, by),
    ]


async def test_of_groups_that_are_equally_bad_the_oldest_comes_first(api: Api, rows: Rows) -> None:
    mona, ann, eve = await api.register("Mona", Role.MODERATOR), await api.register("Ann"), await api.register("Eve")
    listings = [await rows.listing(eve.id) for _ in range(3)]
    for listing_id in reversed(listings):
        await report(api, ann, f"listings/{listing_id}")
    assert [group[1] for group in await queued(api, mona, limit=1)] == listings[::-1]


async def test_what_was_done_before_to_a_person_is_shown_and_makes_a_group_worse(api: Api, rows: Rows) -> None:
    admin = await api.register("Root", Role.ADMIN)
    ann, eve, bob = await api.register("Ann"), await api.register("Eve"), await api.register("Bob")
    await report(api, ann, f"users/{bob.id}")
    hidden = await rows.listing(eve.id, title="Hidden")
    await api.call("PUT", f"/api/listings/{hidden}/hidden", 200, who=admin, json={"reason": "stolen"})
    await api.call("PUT", f"/api/users/{eve.id}/ban", 200, who=admin, json={"reason": "fraud"})
    await api.call("DELETE", f"/api/users/{eve.id}/ban", 204, who=admin)
    await report(api, ann, f"users/{eve.id}")
    done = DEEDS["ban"] + DEEDS["listing_hide"]
    spam = WEIGHTS[ReportReason.SPAM]
    assert await queued(api, admin) == [("person", eve.id, spam + done), ("person", bob.id, spam)]
    group = await api.call("GET", f"{QUEUE}/people/{eve.id}", 200, who=admin)
    assert group["done"] == dict.fromkeys(DEEDS, 0) | {"ban": 1, "listing_hide": 1}
    assert [(one["action"], one["reason"], one["listing_id"], one["by"]["name"]) for one in group["deeds"]] == [
        ("ban", "fraud", None, "Root"),
        ("listing_hide", "stolen", hidden, "Root"),
    ]
    for _ in range(MAX_DEEDS):
        await api.call("PUT", f"/api/users/{eve.id}/ban", 200, who=admin, json={"reason": "again"})
    group = await api.call("GET", f"{QUEUE}/people/{eve.id}", 200, who=admin)
    assert (group["weight"], len(group["deeds"])) == (spam + MAX_WEIGHT_OF_DEEDS, MAX_DEEDS)
    assert group["done"]["ban"] == MAX_DEEDS + 1


async def test_what_was_lifted_after_an_objection_is_held_against_nobody(api: Api, rows: Rows) -> None:
    mona, root = await api.register("Mona", Role.MODERATOR), await api.register("Root", Role.ADMIN)
    ann, eve = await api.register("Ann"), await api.register("Eve")
    car = await rows.listing(eve.id)
    await report(api, ann, f"users/{eve.id}")
    spam = WEIGHTS[ReportReason.SPAM]
    acts: dict[str, tuple[str, str, dict[str, Any]]] = {
        "warn": ("POST", f"/api/users/{eve.id}/warnings", {"reason": "rude"}),
        "listing_hide": ("PUT", f"/api/listings/{car}/hidden", {"reason": "stolen"}),
        "suspend": ("PUT", f"/api/users/{eve.id}/suspension", {"reason": "fraud", "days": 1}),
        "ban": ("PUT", f"/api/users/{eve.id}/ban", {"reason": "fraud"}),
    }
    assert list(acts) == list(DEEDS)
    for method, path, body in acts.values():
        await api.call(method, path, 201 if method == "POST" else 200, who=root, json=body)
    judge = await api.register("Judge", Role.ADMIN)
    first = await api.call("GET", f"{QUEUE}?limit=1", 200, who=mona)
    assert first["data"][0]["weight"] == spam + sum(DEEDS.values())
    standing = dict.fromkeys(DEEDS, 1)
    await rows.execute("UPDATE sanctions SET objection = 'No', objected_at = now()")
    for sanction_id, name in zip(range(1, len(acts) + 1), acts, strict=True):
        outcome = "kept" if name == "suspend" else "lifted"
        path = f"/api/objections/{sanction_id}/decision"
        await api.call("PUT", path, 200, who=judge, json={"outcome": outcome, "answer": "We looked again."})
        if outcome == "lifted":
            standing[name] = 0
        weight = spam + sum(DEEDS[one] * number for one, number in standing.items())
        assert await queued(api, mona) == [("person", eve.id, weight)]
        group = await api.call("GET", f"{QUEUE}/people/{eve.id}", 200, who=mona)
        assert group["done"] == standing
        assert {one["action"] for one in group["deeds"]} == {one for one, number in standing.items() if number}


async def test_a_group_is_closed_as_a_whole_up_to_what_its_moderator_has_seen(api: Api, rows: Rows) -> None:
    mona, otto = await api.register("Mona", Role.MODERATOR), await api.register("Otto", Role.ADMIN)
    eve = await api.register("Eve")
    people = [await api.register(f"User {number}") for number in range(3)]
    listing_id = await rows.listing(eve.id)
    path = f"{QUEUE}/listings/{listing_id}"
    made = [await report(api, who, f"listings/{listing_id}") for who in people[:2]]
    of_person = await report(api, people[0], f"users/{eve.id}")
    seen = await api.call("GET", path, 200, who=mona)
    later = await report(api, people[2], f"listings/{listing_id}")
    body = {"up_to": seen["newest_at"]}
    assert (await api.call("PUT", f"{path}/resolved", 200, who=mona, json=body))["report_ids"] == made
    assert (await api.call("PUT", f"{path}/resolved", 200, who=otto, json=body))["report_ids"] == []
    group = await api.call("GET", path, 200, who=mona)
    assert ([one["id"] for one in group["entries"]], group["size"]) == ([later], 1)
    found = await rows.fetch("SELECT id, resolved_by FROM reports WHERE resolved_at IS NOT NULL ORDER BY id")
    assert found == [(one, mona.id) for one in made]
    log = await rows.fetch("SELECT actor_id, action, target_id, details FROM audit ORDER BY id")
    details = {"listing_id": listing_id, "reason": "spam"}
    assert log == [(mona.id, "report_resolve", one, details) for one in made]
    body = {"up_to": group["newest_at"]}
    await api.call("PUT", f"{path}/resolved", 200, who=otto, json=body)
    await api.call("GET", path, 404, who=mona)
    await api.call("PUT", f"{path}/resolved", 200, who=mona, json=body)
    assert [one["entries"][0]["id"] for one in await api.every_page(QUEUE, who=mona)] == [of_person]
    path = f"{QUEUE}/people/{eve.id}/resolved"
    assert (await api.call("PUT", path, 200, who=mona, json=body))["report_ids"] == [of_person]
    # Each can be opened again.
    await api.call("DELETE", f"/api/reports/{of_person}/resolved", 200, who=otto)
    assert len(await queued(api, mona)) == 1


async def test_pages_of_groups_neither_repeat_nor_skip_while_reports_change(api: Api, rows: Rows) -> None:
    mona, eve = await api.register("Mona", Role.MODERATOR), await api.register("Eve")
    people = [await api.register() for _ in range(3)]
    listings = [await rows.listing(eve.id) for _ in range(4)]
    for listing_id in listings:
        for who in people[:2]:
            await report(api, who, f"listings/{listing_id}")
    first = await api.call("GET", f"{QUEUE}?limit=2", 200, who=mona)
    # The last one gets worse, the third better, and the first is closed.
    await report(api, people[2], f"listings/{listings[3]}", "fraud")
    await api.call("PUT", f"/api/reports/{first['data'][0]['entries'][0]['id']}/resolved", 200, who=mona)
    await api.call("PUT", "/api/reports/5/resolved", 200, who=mona)
    rest = await api.call("GET", QUEUE, 200, who=mona, params={"cursor": first["next_cursor"]})
    assert [group["id"] for group in first["data"] + rest["data"]] == listings


async def test_a_group_shows_its_latest_entries(api: Api, rows: Rows) -> None:
    mona, eve = await api.register("Mona", Role.MODERATOR), await api.register("Eve")
    listing_id = await rows.listing(eve.id)
    await rows.execute(
        f"""WITH made AS (INSERT INTO users (name, email, password_hash)
                SELECT 'User', 'many' || n || '@example.com', 'none' FROM generate_series(1, {MAX_ENTRIES + 1}) n
                RETURNING id)
            INSERT INTO reports (id, listing_id, reporter_id, reason, created_at)
            SELECT id, {listing_id}, id, 'sold', now() - interval '1 hour' + id * interval '1 s' FROM made"""
    )
    group = await api.call("GET", f"{QUEUE}/listings/{listing_id}", 200, who=mona)
    assert (group["size"], group["reporters"], group["weight"]) == (MAX_ENTRIES + 1,) * 3
    ids = [one["id"] for one in group["entries"]]
    assert len(ids) == MAX_ENTRIES
    assert ids == sorted(ids, reverse=True)
    assert group["newest_at"] == group["entries"][0]["created_at"]


async def test_moderators_have_nothing_about_themselves_in_their_queue(api: Api, rows: Rows) -> None:
    mona, otto, ann = (
        await api.register("Mona", Role.MODERATOR),
        await api.register("Otto", Role.MODERATOR),
        await api.register("Ann"),
    )
    listing_id = await rows.listing(mona.id)
    for path in (f"users/{mona.id}", f"listings/{listing_id}"):
        await report(api, ann, path)
    assert len(await queued(api, otto)) == 2
    assert await queued(api, mona) == []
    assert (await api.call("GET", QUEUE, 200, who=mona))["open"] == 0
    body = {"up_to": "2100-01-01T00:00:00Z"}
    for path in (f"people/{mona.id}", f"listings/{listing_id}"):
        await api.call("GET", f"{QUEUE}/{path}", 404, who=mona)
        await api.call("PUT", f"{QUEUE}/{path}/resolved", 404, who=mona, json=body)
        await api.call("PUT", f"{QUEUE}/{path}/resolved", 200, who=otto, json=body)


@pytest.mark.parametrize("path", ["people", "listings"])
async def test_a_group_that_is_not_there_is_404_and_a_wrong_time_422(api: Api, rows: Rows, path: str) -> None:
    mona, eve = await api.register("Mona", Role.MODERATOR), await api.register("Eve")
    here = {"people": eve.id, "listings": await rows.listing(eve.id)}[path]
    for wrong in ("99", "0", "x", str(2**63)):
        await api.call("GET", f"{QUEUE}/{path}/{wrong}", 404, who=mona)
        await api.call("PUT", f"{QUEUE}/{path}/{wrong}/resolved", 404, who=mona, json={"up_to": "now"})
    for up_to in (None, "now", 5, "2026-01-01", "2026-01-01T00:00:00"):
        problem = await api.call("PUT", f"{QUEUE}/{path}/{here}/resolved", 422, who=mona, json={"up_to": up_to})
        assert set(problem["errors"]) == {"up_to"}


async def test_moderators_are_told_of_what_is_reported_resolved_and_opened_again(
    api: Api, rows: Rows, broadcasts: Broadcasts
) -> None:
    mona, ann, eve = await api.register("Mona", Role.MODERATOR), await api.register("Ann"), await api.register("Eve")
    listing_id = await rows.listing(eve.id)
    broadcasts.seen.clear()
    report_id = await report(api, ann, f"listings/{listing_id}")
    other_id = await report(api, ann, f"users/{eve.id}")
    await api.call("POST", f"/api/users/{eve.id}/reports", 409, who=ann, json={"reason": "spam"})
    await api.call("PUT", f"/api/reports/{report_id}/resolved", 200, who=mona)
    await api.call("DELETE", f"/api/reports/{report_id}/resolved", 200, who=mona)
    for _ in range(2):
        path = f"{QUEUE}/people/{eve.id}/resolved"
        await api.call("PUT", path, 200, who=mona, json={"up_to": "2100-01-01T00:00:00Z"})
    listing: dict[str, Any] = {"kind": "listing", "id": listing_id, "person_id": eve.id, "ids": [report_id]}
    person = {"kind": "person", "id": eve.id, "person_id": eve.id, "ids": [other_id]}
    assert broadcasts.seen == [
        (MODERATION, "reported", listing),
        (MODERATION, "reported", person),
        (MODERATION, "resolved", listing),
        (MODERATION, "reopened", listing),
        (MODERATION, "resolved", person),
    ]


async def test_the_numbers_of_the_last_weeks_count_reports_resolutions_reasons_and_the_median(
    api: Api, rows: Rows
) -> None:
    mona, ann, eve = await api.register("Mona", Role.MODERATOR), await api.register("Ann"), await api.register("Eve")
    week = "date_trunc('week', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
    for number, (weeks_ago, reason, seconds) in enumerate(
        [(0, "fraud", None), (1, "spam", 60), (1, "spam", 120), (1, "unrelated", 600), (7, "sold", 30), (8, "sold", 30)]
    ):
        made = f"{week} - {weeks_ago} * interval '168 hours'"
        await rows.execute(
            f"""INSERT INTO reports (user_id, reply_id, reporter_id, reason, created_at, resolved_at)
                VALUES (%s, %s, %s, %s, {made}, {made} + %s * interval '1 s')""",
            eve.id,
            number,
            ann.id,
            reason,
            seconds,
        )
    weeks = (await api.call("GET", "/api/moderation/numbers", 200, who=mona))["weeks"]
    assert [(one["made"], one["resolved"], one["median_seconds"]) for one in weeks] == [
        (1, 0, None),
        (3, 3, 120.0),
        *[(0, 0, None)] * 5,
        (1, 1, 30.0),
    ]
    nothing = dict.fromkeys((reason.value for reason in ReportReason), 0)
    assert [one["by_reason"] for one in weeks[:2]] == [nothing | {"fraud": 1}, nothing | {"spam": 2, "unrelated": 1}]
    assert all(one["since"].endswith("T00:00:00.000000Z") for one in weeks)
