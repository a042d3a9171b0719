"""Warnings, suspensions, objections and notes, and sanctions that end by themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.services import SERVICES
from shared.domain.sanctions import MAX_OBJECTION_LENGTH, MAX_SUSPENSION_DAYS
from shared.domain.users import Role
from shared.events.control import CONTROL, DISCONNECT, SELLER_CHANGED, STANDING_CHANGED
from shared.events.listings import LISTING_UPDATED, LOOK_AGAIN
from shared.events.topics import MODERATION, listing, private_chat
from shared.postgres import Database, DatabaseUnavailable, Statement
from shared.postgres.schema import apply_schema
from shared.pubsub.memory import MemoryBroker, MemoryHub
from shared.settings import Settings
from tests.api.conftest import NEVER, PASSWORD, Api, Broadcasts, MakeApi, Person
from tests.api.locks import Hold
from tests.api.rows import Rows
from tests.support.roles import as_owner
from tests.support.waiting import PATIENCE_SECONDS

WHY = "Writes the same to everybody."


async def people(api: Api) -> tuple[Person, Person, Person]:
    """Returns a user, a moderator and an admin."""
    return await api.register("Ann"), await api.register("Mo", Role.MODERATOR), await api.register("Ada", Role.ADMIN)


async def warn(api: Api, whom: Person, by: Person, reason: str = WHY) -> Any:
    return await api.call("POST", f"/api/users/{whom.id}/warnings", 201, who=by, json={"reason": reason})


async def suspend(api: Api, whom: Person, by: Person, status: int = 200, days: int = 7) -> Any:
    body = {"reason": WHY, "days": days}
    return await api.call("PUT", f"/api/users/{whom.id}/suspension", status, who=by, json=body)


async def ban(api: Api, whom: Person, by: Person) -> None:
    await api.call("PUT", f"/api/users/{whom.id}/ban", 200, who=by, json={"reason": WHY})


async def log_in(api: Api, who: Person, status: int) -> Any:
    return await api.call("POST", "/api/login", status, json={"email": who.email, "password": PASSWORD})


async def token_for(api: Api, who: Person) -> str:
    """Returns what somebody who cannot log in gets to object with."""
    return str((await log_in(api, who, 403))["objection_token"])


async def object_with(api: Api, token: str, status: int = 201, text: str = "It was my brother.") -> Any:
    return await api.call("POST", "/api/objections", status, json={"token": token, "text": text})


async def decide(api: Api, sanction_id: int, by: Person, outcome: str, status: int = 200) -> Any:
    body = {"outcome": outcome, "answer": "We have looked at it."}
    return await api.call("PUT", f"/api/objections/{sanction_id}/decision", status, who=by, json=body)


def events(broadcasts: Broadcasts, *topics: str) -> list[tuple[str, str]]:
    return [(topic, event) for topic, event, _ in broadcasts.seen if topic in topics]


async def acts(rows: Rows) -> Sequence[tuple[Any, ...]]:
    return await rows.fetch("SELECT actor_id, action, target_id, reason FROM audit ORDER BY id")


async def mails(rows: Rows, who: Person) -> list[tuple[str, Any]]:
    found = await rows.fetch("SELECT kind, facts::text FROM outbox WHERE user_id = %s ORDER BY id", who.id)
    return [(kind, json.loads(facts)) for kind, facts in found]


# Warnings


async def test_who_was_warned_neither_writes_nor_publishes_until_the_warning_is_read(
    api: Api, rows: Rows, broadcasts: Broadcasts
) -> None:
    ann, mo, _ = await people(api)
    category, own, other = await rows.category(), await rows.listing(ann.id), await rows.listing(mo.id)
    car = {"title": "A car", "content": "It drives.", "category_id": category}
    publishing: list[tuple[str, str, Any]] = [
        ("POST", "/api/listings", car),
        ("PATCH", f"/api/listings/{own}", {"title": "New"}),
        ("PUT", f"/api/listings/{own}/renewed", None),
        ("POST", f"/api/listings/{other}/replies", {"text": "Hello"}),
        ("POST", "/api/messages", {"to": mo.id, "message": "Hello"}),
        ("PUT", f"/api/listings/{own}/pictures/order", {"pictures": []}),
    ]
    taken_back = f"/api/trash/{(deleted := await rows.listing(ann.id))}/restore"
    await api.call("DELETE", f"/api/listings/{deleted}", 204, who=ann)
    broadcasts.seen.clear()
    warning = await warn(api, ann, mo)
    second = await warn(api, ann, mo, "Once more.")
    assert (warning["kind"], warning["reason"], warning["by"]) == ("warning", WHY, {"id": mo.id, "name": "Mo"})
    told = [
        payload for topic, event, payload in broadcasts.seen if (topic, event) == (private_chat(ann.id), "sanction")
    ]
    assert [(one["id"], one["kind"], one["reason"]) for one in told] == [
        (warning["id"], "warning", WHY),
        (second["id"], "warning", "Once more."),
    ]
    assert (CONTROL, STANDING_CHANGED) in events(broadcasts, CONTROL)
    assert (await api.call("GET", "/api/me", 200, who=ann))["has_warning"] is True
    for method, path, body in (*publishing, ("POST", taken_back, {})):
        problem = await api.call(method, path, 403, who=ann, json=body)
        assert problem["type"] == "/problems/unread-warning"
    # What publishes nothing stays possible.
    await api.call("PATCH", "/api/me", 200, who=ann, json={"name": "Anna"})
    await api.call("DELETE", f"/api/listings/{await rows.listing(ann.id)}", 204, who=ann)

    unread = (await api.call("GET", "/api/me/warnings", 200, who=ann))["data"]
    assert [one["id"] for one in unread] == [warning["id"], second["id"]]
    assert "by" not in unread[0]
    await api.call("PUT", f"/api/me/warnings/{warning['id']}/read", 204, who=ann)
    await api.call("POST", "/api/messages", 403, who=ann, json={"to": mo.id, "message": "Hello"})
    for _ in range(2):
        await api.call("PUT", f"/api/me/warnings/{second['id']}/read", 204, who=ann)
    assert (await api.call("GET", "/api/me/warnings", 200, who=ann))["data"] == []
    assert (await api.call("GET", "/api/me", 200, who=ann))["has_warning"] is False
    for method, path, body in publishing:
        await api.call(method, path, 200 if method in ("PATCH", "PUT") else 201, who=ann, json=body)
    await api.call("POST", taken_back, 200, who=ann, json={})
    assert [act[:3] for act in await acts(rows)] == [(mo.id, "warn", ann.id)] * 2


async def test_nobody_reads_the_warning_of_somebody_else_nor_anything_that_is_no_warning(api: Api) -> None:
    ann, mo, ada = await people(api)
    bob = await api.register("Bob")
    warning, suspension = await warn(api, ann, mo), await suspend(api, bob, mo)
    await api.call("PUT", f"/api/me/warnings/{warning['id']}/read", 404, who=ada)
    await api.call("DELETE", f"/api/users/{bob.id}/suspension", 204, who=mo)
    for sanction_id in (suspension["id"], 10**9):
        await api.call("PUT", f"/api/me/warnings/{sanction_id}/read", 404, who=bob)


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": " "}, {"reason": 1}, {"reason": "x" * 1001}, {"x": 1}])
async def test_a_warning_without_a_reason_is_422_and_changes_nothing(api: Api, rows: Rows, body: Any) -> None:
    ann, mo, _ = await people(api)
    await api.call("POST", f"/api/users/{ann.id}/warnings", 422, who=mo, json=body)
    assert await rows.fetch("SELECT FROM sanctions") == []


# Suspensions


async def test_a_suspended_person_is_let_in_nowhere_and_is_told_until_when_and_why(
    api: Api, rows: Rows, broadcasts: Broadcasts
) -> None:
    ann, mo, _ = await people(api)
    car = await rows.listing(ann.id)
    broadcasts.seen.clear()
    suspension = await suspend(api, ann, mo)
    # The person hears of it before the sockets close.
    assert events(broadcasts, CONTROL, private_chat(ann.id)) == [
        (private_chat(ann.id), "sanction"),
        (CONTROL, DISCONNECT),
        (CONTROL, SELLER_CHANGED),
    ]
    await api.call("GET", f"/api/listings/{car}", 404)
    refused = [
        await log_in(api, ann, 403),
        await api.call("GET", "/api/me", 403, who=ann),
        await api.call("POST", "/api/token/refresh", 403, json={"refresh_token": ann.refresh_token}),
    ]
    for problem in refused:
        assert (problem["type"], problem["title"]) == ("/problems/banned", "You are suspended")
        assert problem["detail"].startswith("You are suspended until ")
        assert problem["detail"].endswith(WHY)
        assert problem["objection_token"].startswith(f"{suspension['id']}.")
    wrong = await api.call("POST", "/api/login", 401, json={"email": ann.email, "password": "not the password"})
    assert "objection_token" not in wrong
    # A moderator changes it, and ends it.
    assert (await suspend(api, ann, mo, days=1))["until"] < suspension["until"]
    await api.call("DELETE", f"/api/users/{ann.id}/suspension", 204, who=mo)
    await api.call("DELETE", f"/api/users/{ann.id}/suspension", 204, who=mo)
    await log_in(api, ann, 200)
    await api.call("GET", f"/api/listings/{car}", 200)
    assert [act[1] for act in await acts(rows)] == ["suspend", "suspend", "unsuspend"]
    history = await api.every_page(f"/api/users/{ann.id}/sanctions", who=mo)
    assert [(one["kind"], one["ended_at"] is not None) for one in history] == [("suspension", True)] * 2


async def test_moderators_sanction_users_only_and_end_no_ban(api: Api, rows: Rows) -> None:
    ann, mo, ada = await people(api)
    other = await api.register("Max", Role.MODERATOR)
    for staff in (other, ada):
        await suspend(api, staff, mo, 403)
        await api.call("POST", f"/api/users/{staff.id}/warnings", 403, who=mo, json={"reason": WHY})
    await suspend(api, mo, mo, 409)
    await api.call("POST", f"/api/users/{mo.id}/warnings", 409, who=mo, json={"reason": WHY})
    await suspend(api, ada, ada, 409)
    assert await acts(rows) == []
    await ban(api, ann, ada)
    await suspend(api, ann, mo, 409)
    await api.call("DELETE", f"/api/users/{ann.id}/suspension", 204, who=mo)
    await log_in(api, ann, 403)
    # An admin may sanction staff, and replaces a suspension by a ban.
    await suspend(api, other, ada)
    await ban(api, other, ada)
    await api.call("DELETE", f"/api/users/{other.id}/suspension", 204, who=ada)
    assert (await log_in(api, other, 403))["title"] == "You are banned"


@pytest.mark.parametrize("days", [None, "x", 0, -1, 1.5, MAX_SUSPENSION_DAYS + 1, 10**9])
async def test_a_suspension_lasts_a_day_to_thirty_days(api: Api, days: Any) -> None:
    ann, mo, _ = await people(api)
    body = {"reason": WHY, "days": days}
    problem = await api.call("PUT", f"/api/users/{ann.id}/suspension", 422, who=mo, json=body)
    assert list(problem["errors"]) == ["days"]
    for most in (1, MAX_SUSPENSION_DAYS):
        made = await suspend(api, ann, mo, days=most)
        lasts = datetime.fromisoformat(made["until"]) - datetime.fromisoformat(made["given_at"])
        assert abs(lasts - timedelta(days=most)) < timedelta(hours=1)


# Objections


async def test_a_suspended_person_objects_once_and_another_moderator_decides(
    api: Api, rows: Rows, broadcasts: Broadcasts
) -> None:
    ann, mo, ada = await people(api)
    car = await rows.listing(ann.id)
    sanction_id = (await suspend(api, ann, mo))["id"]
    token = await token_for(api, ann)
    made = await object_with(api, token)
    assert (made["id"], made["objection"]["text"], made["objection"]["outcome"]) == (
        sanction_id,
        "It was my brother.",
        None,
    )
    assert made["objection_token"] is None
    assert "by" not in made
    assert (await object_with(api, token, 409))["type"] == "/problems/already-objected"
    refused = await log_in(api, ann, 403)
    assert "objection_token" not in refused
    assert refused["detail"].endswith(f"{WHY} (You have objected, and nobody has decided about it yet.)")

    queue = await api.call("GET", "/api/objections", 200, who=mo)
    assert queue["open"] == 1
    [open_one] = queue["data"]
    assert (open_one["id"], open_one["person"]["name"], open_one["by"]["name"]) == (sanction_id, "Ann", "Mo")
    # Mo gave the suspension, and Ada is there.
    await decide(api, sanction_id, mo, "kept", 403)
    broadcasts.seen.clear()
    decided = await decide(api, sanction_id, ada, "lifted")
    assert (decided["objection"]["outcome"], decided["objection"]["decided_by"]["name"]) == ("lifted", "Ada")
    assert decided["ended_at"] is not None
    assert events(broadcasts, CONTROL) == [(CONTROL, SELLER_CHANGED)]
    [payload] = [payload for topic, event, payload in broadcasts.seen if event == "objection"]
    answer = "We have looked at it."
    assert payload == {"sanction_id": sanction_id, "kind": "suspension", "outcome": "lifted", "answer": answer}
    await decide(api, sanction_id, ada, "kept", 409)
    await api.call("GET", f"/api/listings/{car}", 200)
    again = await api.login(ann)
    [own] = await api.every_page("/api/me/sanctions", who=again)
    assert (own["objection"]["outcome"], own["objection"]["answer"]) == ("lifted", answer)
    assert "decided_by" not in own["objection"]
    assert (await api.call("GET", "/api/objections", 200, who=mo))["open"] == 0
    assert (await acts(rows))[-1] == (ada.id, "objection_decide", ann.id, answer)


async def test_moderators_hear_of_sanctions_objections_and_decisions(
    api: Api, hub: MemoryHub, settings: Settings
) -> None:
    ann, mo, ada = await people(api)
    heard, broker = Broadcasts(settings), MemoryBroker(hub)
    await broker.start(heard)
    await broker.subscribe(MODERATION)
    sanction_id = (await suspend(api, ann, mo))["id"]
    await object_with(api, await token_for(api, ann))
    await decide(api, sanction_id, ada, "kept")
    payload = {"id": sanction_id, "kind": "suspension", "person_id": ann.id}
    assert heard.seen == [(MODERATION, event, payload) for event in ("sanctioned", "objected", "decided")]


async def test_whoever_gave_a_sanction_decides_only_if_nobody_else_may(api: Api) -> None:
    ann, mo = await api.register("Ann"), await api.register("Mo", Role.MODERATOR)
    sanction_id = (await suspend(api, ann, mo))["id"]
    await object_with(api, await token_for(api, ann))
    root = await api.register("Root", Role.ADMIN)
    await decide(api, sanction_id, mo, "kept", 403)
    await decide(api, sanction_id, root, "kept")
    refused = await log_in(api, ann, 403)
    assert refused["detail"].endswith("(You have objected. It stays as it is: We have looked at it.)")
    bob = await api.register("Bob")
    await ban(api, bob, root)
    [banned] = await api.every_page(f"/api/users/{bob.id}/sanctions", who=mo)
    await object_with(api, await token_for(api, bob))
    await decide(api, banned["id"], mo, "lifted", 403)
    # There is no other admin.
    await decide(api, banned["id"], root, "lifted")
    await log_in(api, bob, 200)


async def test_the_only_moderator_decides_about_a_sanction_of_their_own(api: Api, rows: Rows) -> None:
    ann, mo = await api.register("Ann"), await api.register("Mo", Role.MODERATOR)
    # Neither who is banned nor who has left counts.
    for column in ("banned_at", "deleted_at"):
        away = await api.register("Away", Role.ADMIN)
        await rows.execute(f"UPDATE users SET {column} = now() WHERE id = %s", away.id)
    sanction_id = (await suspend(api, ann, mo))["id"]
    await object_with(api, await token_for(api, ann))
    await decide(api, sanction_id, mo, "lifted")
    await log_in(api, ann, 200)


async def test_people_object_to_warnings_and_hidden_listings_too(api: Api, rows: Rows, broadcasts: Broadcasts) -> None:
    ann, mo, ada = await people(api)
    car = await rows.listing(ann.id, title="A blue car")
    await warn(api, ann, mo)
    await api.call("PUT", f"/api/listings/{car}/hidden", 200, who=mo, json={"reason": "Stolen pictures"})
    hiding, warning = await api.every_page("/api/me/sanctions", who=ann)
    assert (hiding["kind"], hiding["listing"]) == ("hiding", {"id": car, "title": "A blue car"})
    assert (hiding["reason"], warning["reason"]) == ("Stolen pictures", WHY)
    for one in (warning, hiding):
        await object_with(api, one["objection_token"])
    first, second = await api.every_page("/api/objections", who=ada, limit=1)
    assert [first["id"], second["id"]] == [warning["id"], hiding["id"]]
    broadcasts.seen.clear()
    for one in (warning, hiding):
        await decide(api, one["id"], ada, "lifted")
    assert events(broadcasts, CONTROL, listing(car)) == [
        (CONTROL, STANDING_CHANGED),
        (listing(car), LOOK_AGAIN),
        (listing(car), LISTING_UPDATED),
    ]
    await api.call("GET", f"/api/listings/{car}", 200)
    assert (await api.call("GET", "/api/me/warnings", 200, who=ann))["data"] == []
    await api.call("POST", "/api/messages", 201, who=ann, json={"to": mo.id, "message": "Thank you"})


async def test_what_replaced_a_sanction_stays_when_an_objection_against_the_former_is_granted(api: Api) -> None:
    ann, mo, ada = await people(api)
    sanction_id = (await suspend(api, ann, mo))["id"]
    await object_with(api, await token_for(api, ann))
    await ban(api, ann, ada)
    await decide(api, sanction_id, ada, "lifted")
    assert (await log_in(api, ann, 403))["title"] == "You are banned"


@pytest.mark.parametrize("text", ["", " ", None, 1, "x" * (MAX_OBJECTION_LENGTH + 1)])
async def test_a_wrong_objection_is_422_and_uses_nothing_up(api: Api, text: Any) -> None:
    ann, mo, _ = await people(api)
    await suspend(api, ann, mo)
    token = await token_for(api, ann)
    problem = await object_with(api, token, 422, text)
    assert list(problem["errors"]) == ["text"]
    await object_with(api, token)


async def test_a_token_that_was_not_made_here_or_has_expired_objects_to_nothing(api: Api) -> None:
    ann, mo, _ = await people(api)
    await suspend(api, ann, mo)
    token = await token_for(api, ann)
    links = api.client.app[SERVICES].mail_links
    number, expires, signature = token.split(".")
    old = links.objection_token(int(number), from_time=0.0)
    others = [
        f"{number}.{expires}9.{signature}",
        f"9{token}",
        f"{number}.{signature}",
        ".",
        "é.é",
        old,
    ]
    for bad in others:
        await object_with(api, bad, 410)
    await object_with(api, "", 422)
    await object_with(api, token)


async def test_of_many_objections_at_once_one_counts_and_of_many_decisions_one(api: Api) -> None:
    ann, mo, ada = await people(api)
    sanction_id = (await suspend(api, ann, mo))["id"]
    token = await token_for(api, ann)
    body = {"token": token, "text": "No."}
    answers = await asyncio.gather(*(api.client.post("/api/objections", json=body) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]
    path, body = f"/api/objections/{sanction_id}/decision", {"outcome": "lifted", "answer": "Yes."}
    answers = await asyncio.gather(*(api.client.put(path, json=body, headers=ada.headers) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409]


async def test_mails_say_why_and_how_to_object_and_what_was_decided(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api()
    ann, mo, ada = await people(api)
    await rows.execute("DELETE FROM outbox")
    warning, suspension = await warn(api, ann, mo), await suspend(api, ann, mo)
    await object_with(api, await token_for(api, ann))
    await decide(api, suspension["id"], ada, "kept")
    [warned, suspended, decided] = await mails(rows, ann)
    assert warned == ("warned", {
        "name": "Ann", "sanction": "warning", "title": None, "until": None, "sanction_id": warning["id"], "reason": WHY,
    })  # fmt: skip
    assert suspended == ("banned", {
        "name": "Ann", "reason": WHY, "until": suspension["until"], "is_suspension": True,
        "sanction_id": suspension["id"],
    })  # fmt: skip
    kind, facts = decided
    assert (kind, facts["outcome"], facts["answer"]) == ("objection_decided", "kept", "We have looked at it.")


# Sanctions that end by themselves


async def in_a_moment(rows: Rows, table: str, column: str, row_id: int) -> None:
    await rows.execute(f"UPDATE {table} SET {column} = clock_timestamp() + interval '1 second' WHERE id = %s", row_id)


async def test_a_suspension_and_a_hiding_that_pass_are_announced_like_ones_that_are_ended_by_hand(
    make_api: MakeApi, rows: Rows, broadcasts: Broadcasts
) -> None:
    api = await make_api(telling_seconds=0.05)
    ann, mo, _ = await people(api)
    car, hidden = await rows.listing(ann.id, title="A blue car"), await rows.listing(mo.id)
    await suspend(api, ann, mo)
    await api.call("PUT", f"/api/listings/{hidden}/hidden", 200, who=mo, json={"reason": WHY})
    await api.call("GET", f"/api/listings/{car}", 404)
    broadcasts.seen.clear()
    await in_a_moment(rows, "users", "banned_until", ann.id)
    await in_a_moment(rows, "listings", "hidden_until", hidden)
    wanted = {(CONTROL, SELLER_CHANGED), (listing(hidden), LOOK_AGAIN), (listing(hidden), LISTING_UPDATED)}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not wanted <= set(events(broadcasts, CONTROL, listing(hidden))):
            broadcasts.arrived.clear()
            await broadcasts.arrived.wait()
    [shown] = [
        payload for topic, event, payload in broadcasts.seen if (topic, event) == (listing(hidden), LISTING_UPDATED)
    ]
    assert shown["title"] == "A car"
    listed = (await api.call("GET", "/api/listings", 200))["data"]
    assert {one["id"] for one in listed} == {car, hidden}
    await log_in(api, ann, 200)
    for whom, kind in ((ann, "suspension"), (mo, "hiding")):
        ended = await api.every_page(f"/api/users/{whom.id}/sanctions", who=mo)
        assert {one["kind"] for one in ended} == {kind}
        assert all(one["ended_at"] for one in ended)
    # Once is enough.
    assert events(broadcasts, CONTROL).count((CONTROL, SELLER_CHANGED)) == 1


async def test_of_many_apis_one_ends_a_sanction_and_one_that_fails_leaves_it_to_the_others(
    make_api: MakeApi, rows: Rows, broadcasts: Broadcasts
) -> None:
    first, second = [await make_api(telling_seconds=NEVER) for _ in range(2)]
    tellings = [api.client.app[SERVICES].telling for api in (first, second)]
    for telling in tellings:
        await telling.looked.wait()
    seller = await first.register("Ann")
    await rows.execute(
        "UPDATE users SET banned_at = now(), banned_until = now() - interval '1 second', ban_reason = '' WHERE id = %s",
        seller.id,
    )
    for _ in range(30):
        await rows.listing(seller.id)
    await rows.execute("UPDATE listings SET hidden_at = now(), hidden_until = now() - id * interval '1 second'")
    broadcasts.seen.clear()
    # The first one dies before its commit.
    async with rows.database.transaction() as transaction:
        await transaction.fetch(Statement("", "SELECT id FROM users WHERE id = %s FOR UPDATE"), seller.id)
        await tellings[0].step()
        assert events(broadcasts, CONTROL) == []
    await asyncio.gather(*(telling.step() for telling in tellings))
    assert events(broadcasts, CONTROL) == [(CONTROL, SELLER_CHANGED)]
    looks = [topic for topic, event, _ in broadcasts.seen if event == LOOK_AGAIN]
    # Of the listings whose broadcasts are collected.
    assert sorted(looks) == sorted(map(listing, range(1, 11)))
    assert await rows.fetch("SELECT id FROM listings WHERE hidden_at IS NOT NULL") == []


async def test_what_has_ended_is_told_although_postgres_goes_away_before_it_is_read(
    make_api: MakeApi, rows: Rows, broadcasts: Broadcasts, hold: Hold
) -> None:
    first, second = [await make_api(telling_seconds=NEVER) for _ in range(2)]
    tellings = [api.client.app[SERVICES].telling for api in (first, second)]
    for telling in tellings:
        await telling.looked.wait()
    ann, mo, _ = await people(first)
    hidden = await rows.listing(ann.id)
    await rows.execute("UPDATE listings SET hidden_at = now(), hidden_until = now() - interval '1 second'")
    ban = (
        "UPDATE users SET banned_at = now(), banned_until = now() - interval '1 second', ban_reason = '' WHERE id = %s"
    )
    await rows.execute(ban, mo.id)
    broadcasts.seen.clear()
    # Who may see the listing depends on its category, so its reading waits.
    async with hold("LOCK TABLE categories IN ACCESS EXCLUSIVE MODE") as held:
        step = asyncio.create_task(tellings[0].step())
        await held.until_waiting(1, step)
        assert await rows.fetch("SELECT FROM listings WHERE hidden_at IS NOT NULL") == []
        await held.kill_the_waiting()
        with pytest.raises(DatabaseUnavailable):
            await step
    # The first one does not come back.
    await tellings[1].step()
    assert events(broadcasts, listing(hidden)) == [(listing(hidden), LOOK_AGAIN), (listing(hidden), LISTING_UPDATED)]
    assert (CONTROL, SELLER_CHANGED) in events(broadcasts, CONTROL)
    [shown] = [payload for _, event, payload in broadcasts.seen if event == LISTING_UPDATED]
    assert shown["id"] == hidden
    assert shown["title"]
    broadcasts.seen.clear()
    await tellings[1].step()
    assert broadcasts.seen == []


async def test_a_ban_that_an_earlier_version_gives_can_be_objected_to_as_well(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await rows.execute("UPDATE users SET banned_at = now(), ban_reason = 'Fraud' WHERE id = %s", ann.id)
    [[kind, reason]] = await rows.fetch("SELECT kind, reason FROM sanctions WHERE user_id = %s", ann.id)
    assert (kind, reason) == ("ban", "Fraud")
    assert (await token_for(api, ann)).count(".") == 2


async def test_the_upgrade_enters_the_bans_and_hidings_of_an_earlier_version_once(
    api: Api, rows: Rows, settings: Settings
) -> None:
    ann = await api.register("Ann")
    other = replace(settings, database_url=as_owner(settings.database_url))
    owner = await Database.connect(other)
    try:
        # A row that is inserted runs no trigger of a change.
        columns = "(email, name, password_hash, banned_at, ban_reason)"
        sql = f"INSERT INTO users {columns} VALUES ('a@b.c', 'A', 'x', now() - interval '1 day', 'Fraud') RETURNING id"
        [[banned]] = await owner.fetch(Statement("", sql))
        hidden = await rows.listing(ann.id, hidden_at="now()", hidden_until="now() + interval '1 day'")
        for _ in range(2):
            await owner.execute(Statement("", "DROP TABLE IF EXISTS schema_applied"))
            assert await apply_schema(other)
        found = await rows.fetch(
            """SELECT kind, user_id, listing_id, reason, given_at < now() - interval '1 hour', ended_at
               FROM sanctions ORDER BY id"""
        )
        assert found == [("ban", banned, None, "Fraud", True, None), ("hiding", ann.id, hidden, None, False, None)]
    finally:
        await owner.close()


# Notes


async def test_moderators_write_notes_that_only_they_read(api: Api, rows: Rows) -> None:
    ann, mo, ada = await people(api)
    car = await rows.listing(ann.id)
    for path in (f"/api/users/{ann.id}/notes", f"/api/listings/{car}/notes"):
        first = await api.call("POST", path, 201, who=mo, json={"text": "Two accounts?"})
        second = await api.call("POST", path, 201, who=ada, json={"text": "No, brothers."})
        assert (first["author"], first["text"]) == ({"id": mo.id, "name": "Mo"}, "Two accounts?")
        assert [one["id"] for one in await api.every_page(path, who=mo, limit=1)] == [second["id"], first["id"]]
        await api.call("DELETE", f"/api/notes/{second['id']}", 403, who=mo)
        await api.call("DELETE", f"/api/notes/{first['id']}", 204, who=mo)
        await api.call("DELETE", f"/api/notes/{first['id']}", 404, who=mo)
        for text in ("", " ", None, "x" * 2001):
            await api.call("POST", path, 422, who=mo, json={"text": text})
    assert [act[1] for act in await acts(rows)] == ["note_add", "note_add", "note_delete"] * 2
    assert all(act[3] is None for act in await acts(rows))
    copy = json.loads(await (await api.client.get("/api/me/export", headers=ann.headers)).text())
    assert [one["text"] for one in copy["notes_about_you"]] == ["No, brothers."] * 2
    assert "Ada" not in json.dumps(copy)


async def test_a_moderator_reads_no_notes_about_themselves(api: Api, rows: Rows) -> None:
    _, mo, ada = await people(api)
    car = await rows.listing(mo.id)
    for path in (f"/api/users/{mo.id}/notes", f"/api/listings/{car}/notes"):
        made = await api.call("POST", path, 201, who=ada, json={"text": "Ann has reported Mo."})
        assert await api.every_page(path, who=mo) == []
        assert [one["id"] for one in await api.every_page(path, who=ada)] == [made["id"]]
    hers = await rows.listing(ada.id)
    for path in (f"/api/users/{ada.id}/notes", f"/api/listings/{hers}/notes"):
        about_ada = await api.call("POST", path, 201, who=mo, json={"text": "Deletes too much."})
        await api.call("DELETE", f"/api/notes/{about_ada['id']}", 404, who=ada)
        assert [one["id"] for one in (await api.call("GET", path, 200, who=mo))["data"]] == [about_ada["id"]]
        # What one has written oneself, one may take back.
        own = await api.call("POST", path, 201, who=ada, json={"text": "Not true."})
        await api.call("DELETE", f"/api/notes/{own['id']}", 204, who=ada)


async def test_a_moderator_does_not_lift_what_others_decided_about_the_own_listing(api: Api, rows: Rows) -> None:
    _, mo, ada = await people(api)
    other = await api.register("Max", Role.MODERATOR)
    listing_id = await rows.listing(mo.id)
    path, trash = f"/api/listings/{listing_id}", f"/api/trash/{listing_id}/restore"
    # What they did themselves, they may undo.
    await api.call("PUT", f"{path}/hidden", 200, who=mo, json={"reason": "sold"})
    await api.call("DELETE", f"{path}/hidden", 204, who=mo)
    await api.call("PUT", f"{path}/hidden", 200, who=ada, json={"reason": "fraud"})
    before = await api.call("GET", path, 200, who=ada)
    problem = await api.call("DELETE", f"{path}/hidden", 409, who=mo)
    assert problem["detail"] == "It is about yourself."
    soon = (datetime.now().astimezone() + timedelta(seconds=1)).isoformat()
    await api.call("PUT", f"{path}/hidden", 409, who=mo, json={"until": soon})
    assert await api.call("GET", path, 200, who=ada) == before
    await api.call("DELETE", f"{path}/hidden", 204, who=other)
    # An admin decides about everything.
    own = await rows.listing(ada.id)
    await api.call("PUT", f"/api/listings/{own}/hidden", 200, who=other)
    await api.call("DELETE", f"/api/listings/{own}/hidden", 204, who=ada)

    await api.call("DELETE", path, 204, who=ada)
    await api.call("POST", trash, 409, who=mo)
    await api.call("POST", trash, 200, who=other)
    await api.call("DELETE", path, 204, who=mo)
    await rows.execute("UPDATE listings SET trashed_at = now() - interval '31 days' WHERE id = %s", listing_id)
    await api.call("POST", trash, 200, who=mo)
    # So it is with a category that holds the own listing among others.
    elsewhere = await rows.category()
    for by, status in ((mo, 200), (other, 409)):
        category = await rows.category()
        await rows.execute("UPDATE listings SET category_id = %s WHERE id = %s", category, listing_id)
        await api.call("DELETE", f"/api/categories/{category}", 204, who=by)
        await api.call("POST", trash, status, who=mo, json={"category_id": elsewhere})
