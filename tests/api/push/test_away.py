"""People who are away are told by push: once, and only of what they have not seen."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest

from api.services import SERVICES
from shared.postgres import Statement
from tests.api.alerts.test_saved_searches import offer
from tests.api.conftest import Api, Person
from tests.api.push.conftest import MakeQuick
from tests.api.push.test_subscriptions import PATH
from tests.api.rows import Rows
from tests.support.database import acquaint
from tests.support.ports import free_port
from tests.support.push_service import PushService
from tests.support.waiting import PATIENCE_SECONDS, until


async def told_by(api: Api, who: Person, push_service: PushService, **more: Any) -> str:
    """Subscribe a new browser. Returns its endpoint."""
    browser = push_service.browser()
    await api.call("POST", PATH, 200, who=who, json=browser.body(**more))
    return browser.endpoint


async def write(api: Api, who: Person, to: Person, text: str, **more: Any) -> int:
    """Send a message to somebody who takes it. Returns its id."""
    acquaint(api.settings.database_url, who.id, to.id)
    body = {"to": to.id, "message": text, **more}
    return int((await api.call("POST", "/api/messages", 201, who=who, json=body))["id"])


async def holds(rows: Rows, sql: str) -> None:
    """Run the statement until it finds a row."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if await rows.fetch(sql):
                return
            await asyncio.sleep(0.02)


async def nothing_waits(rows: Rows) -> None:
    """Wait until everything that was stored before has been decided about, and sent."""
    await holds(
        rows,
        """SELECT WHERE (SELECT max(id) FROM messages) IS NOT DISTINCT FROM
               (SELECT nullif(id, 0) FROM looked_at WHERE kind = 'messages')
           AND NOT EXISTS (SELECT FROM waiting_news WHERE way = 'push' AND due_at IS NOT NULL)
           AND NOT EXISTS (SELECT FROM pushes)""",
    )


async def test_a_message_to_somebody_who_is_away_is_told_to_each_of_their_browsers_without_its_text(
    quick: Api, rows: Rows, push_service: PushService
) -> None:
    ann, bob = await quick.register("Ann"), await quick.register("Bob")
    listing_id = await offer(quick, rows, bob, title="Fiat Panda")
    endpoints = {await told_by(quick, bob, push_service), await told_by(quick, await quick.login(bob), push_service)}
    await write(quick, ann, bob, "Is it still there?", listing_id=listing_id)
    await until(lambda: len(push_service.received) == 2, 30.0)
    await nothing_waits(rows)
    assert {push_service.url + one.path for one in push_service.received} == endpoints
    for one in push_service.received:
        assert one.news == {
            "title": "Ann",
            "body": "About Fiat Panda",
            "url": f"/messages/{ann.id}",
            "tag": f"conversation {ann.id}",
        }
        assert one.headers["Urgency"] == "high"
        assert re.fullmatch("[A-Za-z0-9_-]{32}", one.headers["Topic"])
    assert push_service.requests == 2


async def test_the_text_is_told_only_where_its_reader_wants_it(
    quick: Api, rows: Rows, push_service: PushService
) -> None:
    ann, bob = await quick.register("Ann"), await quick.register("Bob")
    await told_by(quick, bob, push_service, shows_text=True)
    await write(quick, ann, bob, "Hello\n\n" + "there " * 100)
    [news] = await push_service.take()
    assert news["body"].startswith("Hello there there")
    assert len(news["body"]) == 200
    await told_by(quick, bob, push_service)
    await write(quick, ann, bob, "More")
    assert [one["body"] for one in await push_service.take()] == ["2 new messages"]


async def test_what_was_told_is_not_told_again_and_a_new_message_is(
    quick: Api, rows: Rows, push_service: PushService
) -> None:
    ann, bob = await quick.register("Ann"), await quick.register("Bob")
    await told_by(quick, bob, push_service)
    await write(quick, ann, bob, "One")
    assert len(await push_service.take()) == 1
    await nothing_waits(rows)
    read = await write(quick, ann, bob, "Two")
    [news] = await push_service.take()
    assert news["body"] == "2 new messages"
    await quick.call("PUT", f"/api/conversations/{ann.id}/read", 204, who=bob, json={"up_to": read})
    await write(quick, ann, bob, "Three")
    assert [one["body"] for one in await push_service.take()] == ["A new message"]
    await nothing_waits(rows)
    assert push_service.requests == 3


@pytest.mark.parametrize("ends", ["read", "blocked", "banned", "logged out", "left", "unsubscribed"])
async def test_nothing_is_told_of_what_was_read_or_may_not_be_told_any_more(
    make_quick: MakeQuick, rows: Rows, push_service: PushService, ends: str
) -> None:
    """All of it happens between the first look, which finds the person away, and the second."""
    api = await make_quick(away_seconds=3600.0)
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await told_by(api, bob, push_service)
    message_id = await write(api, ann, bob, "Hello")
    await holds(rows, "SELECT FROM waiting_news WHERE way = 'push' AND away_since IS NOT NULL")
    match ends:
        case "read":
            read = {"up_to": message_id}
            await api.call("PUT", f"/api/conversations/{ann.id}/read", 204, who=bob, json=read)
        case "blocked":
            await api.call("PUT", f"/api/users/{ann.id}/block", 200, who=bob)
        case "banned":
            await rows.execute("UPDATE users SET banned_at = now() WHERE id = %s", ann.id)
        case "logged out":
            await api.call("POST", "/api/logout", 204, who=bob)
        case "left":
            await rows.execute("UPDATE users SET deleted_at = now(), email = NULL WHERE id = %s", bob.id)
        case "unsubscribed":
            await api.call("DELETE", PATH, 204, who=bob)
    # The hour is over.
    await rows.execute(
        "UPDATE waiting_news SET due_at = now(), away_since = now() - interval '2 hours' WHERE way = 'push'"
    )
    await nothing_waits(rows)
    assert push_service.requests == 0


@pytest.mark.parametrize("ends", ["read", "blocked"])
async def test_what_was_read_or_blocked_while_a_push_service_was_away_is_not_sent_again(
    quick: Api, rows: Rows, push_service: PushService, ends: str
) -> None:
    ann, bob = await quick.register("Ann"), await quick.register("Bob")
    await told_by(quick, bob, push_service)
    push_service.status = 503
    message_id = await write(quick, ann, bob, "Hello")
    await until(lambda: push_service.requests == 1, 30.0)
    if ends == "read":
        await quick.call("PUT", f"/api/conversations/{ann.id}/read", 204, who=bob, json={"up_to": message_id})
    else:
        await quick.call("PUT", f"/api/users/{ann.id}/block", 200, who=bob)
    push_service.status = 201
    await due_again(rows)
    await nothing_waits(rows)
    assert (push_service.requests, push_service.received) == (1, [])


async def due_again(rows: Rows) -> None:
    """Let the time pass after which a message is sent again."""
    # First the attempt has to be over.
    await holds(rows, "UPDATE pushes SET due_at = now() WHERE due_at < now() + interval '25 seconds' RETURNING 1")


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_push_service_that_is_busy_is_asked_again_and_in_the_end_no_more(
    quick: Api, rows: Rows, push_service: PushService, status: int
) -> None:
    ann, bob = await quick.register("Ann"), await quick.register("Bob")
    await told_by(quick, bob, push_service)
    push_service.statuses = [status]
    await write(quick, ann, bob, "Hello")
    await until(lambda: push_service.requests == 1, 30.0)
    await due_again(rows)
    assert len(await push_service.take()) == 1
    await nothing_waits(rows)
    # The next message never gets through.
    push_service.status = status
    await write(quick, ann, bob, "Hello?")
    await until(lambda: push_service.requests == 3, 30.0)
    await rows.execute("UPDATE pushes SET made_at = now() - interval '1 hour'")
    await due_again(rows)
    await nothing_waits(rows)
    assert push_service.requests == 4
    assert len(await rows.fetch("SELECT FROM push_subscriptions")) == 1


async def test_a_push_service_that_names_a_time_is_not_asked_before_it(
    quick: Api, rows: Rows, push_service: PushService
) -> None:
    ann, bob = await quick.register("Ann"), await quick.register("Bob")
    await told_by(quick, bob, push_service)
    push_service.status, push_service.headers = 429, {"Retry-After": "1800"}
    await write(quick, ann, bob, "Hello")
    await holds(rows, "SELECT FROM pushes WHERE due_at > now() + interval '29 minutes'")


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_the_push_service_does_not_know_is_removed(
    quick: Api, rows: Rows, push_service: PushService, status: int
) -> None:
    ann, bob = await quick.register("Ann"), await quick.register("Bob")
    await told_by(quick, bob, push_service)
    push_service.status = status
    await write(quick, ann, bob, "Hello")
    await holds(rows, "SELECT WHERE NOT EXISTS (SELECT FROM push_subscriptions)")
    assert (await quick.call("GET", PATH, 200, who=bob))["is_on"] is False


async def test_a_reply_and_a_match_are_told_and_other_alerts_are_not(
    quick: Api, rows: Rows, push_service: PushService
) -> None:
    ann, bob = await quick.register("Ann"), await quick.register("Bob")
    await told_by(quick, bob, push_service)
    listing_id = await offer(quick, rows, bob, title="Fiat Panda")
    reply = {"text": "What colour is it?"}
    await quick.call("POST", f"/api/listings/{listing_id}/replies", 201, who=ann, json=reply)
    [news] = await push_service.take()
    assert (news["title"], news["body"], news["url"]) == ("Ann replied", "About Fiat Panda", f"/listings/{listing_id}")
    search = {"name": "Volvos", "query": {"q": "volvo"}}
    await quick.call("POST", "/api/searches", 201, who=bob, json=search)
    volvo = await offer(quick, rows, ann, title="Volvo 240", price=9000)
    [news] = await push_service.take()
    assert (news["title"], news["body"], news["url"]) == ("New for “Volvos”", "Volvo 240", f"/listings/{volvo}")
    # A favourite that is sold is no reason to ring a telephone.
    await quick.call("PUT", f"/api/listings/{volvo}/favourite", 204, who=bob)
    await quick.call("PATCH", f"/api/listings/{volvo}", 200, who=ann, json={"status": "sold"})
    await holds(
        rows, "SELECT FROM alerts WHERE kind = 'sold' AND id <= (SELECT id FROM looked_at WHERE kind = 'alerts')"
    )
    await nothing_waits(rows)
    assert push_service.requests == 2


async def test_an_alert_that_was_seen_is_not_told(make_quick: MakeQuick, rows: Rows, push_service: PushService) -> None:
    api = await make_quick(away_seconds=3600.0)
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await told_by(api, bob, push_service)
    listing_id = await offer(api, rows, bob)
    await api.call("POST", f"/api/listings/{listing_id}/replies", 201, who=ann, json={"text": "Hello"})
    await holds(rows, "SELECT FROM waiting_news WHERE way = 'push' AND away_since IS NOT NULL")
    await api.call("PUT", "/api/alerts/seen", 200, who=bob, json={"up_to": 1})
    await rows.execute(
        "UPDATE waiting_news SET due_at = now(), away_since = now() - interval '2 hours' WHERE way = 'push'"
    )
    await nothing_waits(rows)
    assert push_service.requests == 0


async def test_nobody_is_told_while_redis_is_away_and_everything_waits(
    make_quick: MakeQuick, rows: Rows, push_service: PushService
) -> None:
    api = await make_quick(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await told_by(api, bob, push_service)
    await write(api, ann, bob, "Hello")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            text = await (await api.client.get("/metrics")).text()
            found = re.search(r"^api_unknown_absences_total (\S+)$", text, re.MULTILINE)
            if found is not None and float(found[1]) >= 5:
                break
            await asyncio.sleep(0.02)
    assert push_service.requests == 0
    [[due_at, away_since]] = await rows.fetch("SELECT due_at, away_since FROM waiting_news WHERE way = 'push'")
    assert due_at is not None
    assert away_since is None


async def test_two_apis_tell_each_message_once(make_quick: MakeQuick, rows: Rows, push_service: PushService) -> None:
    first = await make_quick()
    key = first.client.app[SERVICES].settings.vapid_private_key
    second = await make_quick(vapid_private_key=key)
    people = [await first.register("Ann") for _ in range(4)]
    for person in people:
        await told_by(first, person, push_service)
    for number in range(12):
        sender, reader = people[number % 4], people[(number + 1 + number // 4) % 4]
        await write((first, second)[number % 2], sender, reader, f"Hello {number}")
    await until(lambda: len(push_service.received) == 12, 30.0)
    await nothing_waits(rows)
    assert push_service.requests == 12


async def test_a_message_that_commits_late_is_not_skipped(quick: Api, rows: Rows, push_service: PushService) -> None:
    """Its id is taken while an earlier insert has not committed: the later one waits for the earlier."""
    ann, bob = await quick.register("Ann"), await quick.register("Bob")
    await told_by(quick, bob, push_service, shows_text=True)
    async with rows.database.transaction() as transaction:
        await transaction.execute(
            Statement("", "INSERT INTO messages (from_id, to_id, text) VALUES (%s, %s, 'Early')"), ann.id, bob.id
        )
        later = asyncio.create_task(write(quick, bob, ann, "Late"))
        await asyncio.sleep(0.3)
        assert not later.done()
    await later
    assert [news["body"] for news in await push_service.take()] == ["Early"]


async def test_endpoints_are_in_no_log_line(
    quick: Api, rows: Rows, push_service: PushService, caplog: pytest.LogCaptureFixture
) -> None:
    ann, bob = await quick.register("Ann"), await quick.register("Bob")
    caplog.set_level("DEBUG")
    for status in (400, 403, 500, 410):
        await told_by(quick, bob, push_service)
        push_service.status = status
        before = push_service.requests
        await write(quick, ann, bob, "Hello")
        await until(push_service.has_been_asked(before + 1), 30.0)
    await nothing_waits(rows)
    browser = replace(push_service).browser()
    # Nobody listens at this port.
    browser.endpoint = "http://127.0.0.1:1/secret"
    await quick.call("POST", PATH, 200, who=bob, json=browser.body())
    await write(quick, ann, bob, "Hello")
    await until(lambda: "not reached" in caplog.text, 30.0)
    assert "refused a message" in caplog.text
    assert "secret" not in caplog.text
