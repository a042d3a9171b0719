"""What moderators see of a reported message, who never does, and when people are reported again."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.users import Role
from shared.events.topics import MODERATION
from tests.api.conftest import Api, Broadcasts, Person
from tests.api.rows import Rows

FRAUD = {"reason": "fraud", "text": "Look."}


async def send(api: Api, who: Person, to: Person, text: str) -> int:
    answer = await api.call("POST", "/api/messages", 201, who=who, json={"to": to.id, "message": text})
    return int(answer["id"])


async def report(api: Api, who: Person, path: str, status: int = 201) -> Any:
    return await api.call("POST", f"/api/{path}/reports", status, who=who, json=FRAUD)


async def test_that_something_is_not_about_the_car_is_a_reason(api: Api, rows: Rows) -> None:
    ann, eve = await api.register("Ann"), await api.register("Eve")
    message_id = await send(api, eve, ann, "Do you want a loan?")
    listing_id = await rows.listing(eve.id)
    for path in (f"messages/{message_id}", f"users/{eve.id}", f"listings/{listing_id}"):
        made = await api.call("POST", f"/api/{path}/reports", 201, who=ann, json={"reason": "unrelated"})
        assert made["reason"] == "unrelated"


@pytest.mark.parametrize(
    ("sent", "reported", "shown"),
    [
        (1, 0, range(1)),
        (3, 2, range(3)),
        (30, 0, range(11)),
        (30, 2, range(11)),
        (30, 15, range(10, 21)),
        (30, 29, range(19, 30)),
        (30, 27, range(19, 30)),
    ],
)
async def test_moderators_see_a_reported_message_with_the_ten_around_it(
    api: Api, rows: Rows, sent: int, reported: int, shown: range
) -> None:
    moderator = await api.register("Mona", Role.MODERATOR)
    ann, eve, bob = await api.register("Ann"), await api.register("Eve"), await api.register("Bob")
    ids = []
    for number in range(sent):
        one, other = (eve, ann) if number % 2 == reported % 2 else (ann, eve)
        ids.append(await send(api, one, other, f"Message {number}"))
        # Other conversations of both are nobody's business.
        if number == reported:
            await send(api, bob, ann, "Private.")
            await send(api, eve, bob, "Private, too.")
    made = await report(api, ann, f"messages/{ids[reported]}")
    found = await api.call("GET", f"/api/reports/{made['id']}/messages", 200, who=moderator)
    assert [one["message"] for one in found["data"]] == [f"Message {number}" for number in shown]
    assert (found["report_id"], found["message_id"]) == (made["id"], ids[reported])
    assert found["quote"] == f"Message {reported}"
    assert found["people"] == [{"id": eve.id, "name": "Eve"}, {"id": ann.id, "name": "Ann"}]


async def test_each_look_at_reported_messages_is_in_the_audit_log(api: Api, rows: Rows) -> None:
    moderator, admin = await api.register("Mona", Role.MODERATOR), await api.register("Root", Role.ADMIN)
    ann, eve = await api.register("Ann"), await api.register("Eve")
    made = await report(api, ann, f"messages/{await send(api, eve, ann, 'Pay me first.')}")
    path = f"/api/reports/{made['id']}/messages"
    for who in (moderator, moderator, admin):
        await api.call("GET", path, 200, who=who)
    for who in (ann, eve):
        await api.call("GET", path, 403, who=who)
    log = await api.every_page("/api/audit", who=admin)
    assert [(act["actor"]["name"], act["action"], act["target"]["type"], act["target"]["id"]) for act in log] == [
        (name, "report_look", "report", made["id"]) for name in ("Root", "Mona", "Mona")
    ]


async def test_there_are_no_messages_to_a_report_about_anything_else(api: Api, rows: Rows) -> None:
    moderator = await api.register("Mona", Role.MODERATOR)
    ann, eve = await api.register("Ann"), await api.register("Eve")
    await send(api, eve, ann, "Pay me first.")
    for path in (f"users/{eve.id}", f"listings/{await rows.listing(eve.id)}"):
        made = await report(api, ann, path)
        await api.call("GET", f"/api/reports/{made['id']}/messages", 404, who=moderator)
    for report_id in ("99", "0", "x", str(2**63)):
        await api.call("GET", f"/api/reports/{report_id}/messages", 404, who=moderator)
    assert await rows.fetch("SELECT FROM audit") == []


async def test_a_reported_message_that_was_deleted_keeps_its_quote_and_held_ones_are_not_shown(
    api: Api, rows: Rows
) -> None:
    moderator = await api.register("Mona", Role.MODERATOR)
    ann, eve = await api.register("Ann"), await api.register("Eve")
    first, held, last = [await send(api, eve, ann, text) for text in ("Hello.", "Held.", "Pay me first.")]
    await rows.execute("UPDATE messages SET held_at = now() WHERE id = %s", held)
    await report(api, ann, f"messages/{held}", 404)
    made = await report(api, ann, f"messages/{last}")
    await rows.execute("UPDATE messages SET deleted_at = now(), text = '' WHERE id IN (%s, %s)", first, last)
    path = f"/api/reports/{made['id']}/messages"
    found = await api.call("GET", path, 200, who=moderator)
    assert [(one["id"], one["message"], "deleted_at" in one) for one in found["data"]] == [
        (first, "", True),
        (last, "", True),
    ]
    assert found["quote"] == "Pay me first."
    # A message that was deleted first can still be reported: it has no quote.
    unquoted = await report(api, ann, f"messages/{first}")
    assert (await api.call("GET", f"/api/reports/{unquoted['id']}/messages", 200, who=moderator))["quote"] is None

    # Whoever leaves takes the name along, and not what others were sent.
    await api.call("DELETE", "/api/me", 204, who=eve, json={"current_password": "correct horse battery"})
    found = await api.call("GET", path, 200, who=moderator)
    assert [one["name"] for one in found["people"]] == ["", "Ann"]
    assert found["quote"] == "Pay me first."


async def test_moderators_neither_see_nor_decide_reports_about_themselves(api: Api, rows: Rows) -> None:
    mona, other = await api.register("Mona", Role.MODERATOR), await api.register("Otto", Role.ADMIN)
    ann, eve = await api.register("Ann"), await api.register("Eve")
    await send(api, ann, mona, "Is it still there?")
    made = [
        await report(api, ann, path)
        for path in (
            f"users/{mona.id}",
            f"messages/{await send(api, mona, ann, 'Pay me first.')}",
            f"listings/{await rows.listing(mona.id)}",
        )
    ]
    await report(api, ann, f"users/{eve.id}")
    for who, seen in ((mona, 1), (other, 4)):
        assert len(await api.every_page("/api/reports", who=who, limit=1)) == seen
        assert (await api.call("GET", "/api/reports", 200, who=who))["open"] == seen
    for one in made:
        await api.call("PUT", f"/api/reports/{one['id']}/resolved", 404, who=mona)
        await api.call("PUT", f"/api/reports/{one['id']}/resolved", 200, who=other)
        await api.call("DELETE", f"/api/reports/{one['id']}/resolved", 404, who=mona)
        await api.call("GET", f"/api/reports/{one['id']}/messages", 404, who=mona)


async def test_the_reported_never_learn_who_reported_them(api: Api, rows: Rows, broadcasts: Broadcasts) -> None:
    """Not from any answer or event: their copy of their data, their listing, message and reply are as they were."""
    moderator = await api.register("Mona", Role.MODERATOR)
    ann, eve = await api.register("Ann"), await api.register("Eve")
    listing_id = await rows.listing(eve.id)
    reply = await api.call("POST", f"/api/listings/{listing_id}/replies", 201, who=eve, json={"text": "Buy it!"})
    message_id = await send(api, eve, ann, "Pay me first.")

    async def known() -> list[Any]:
        paths = (
            "/api/me",
            f"/api/users/{ann.id}",
            f"/api/listings/{listing_id}",
            f"/api/listings/{listing_id}/replies",
            "/api/conversations",
            "/api/alerts",
            "/api/messages",
        )
        export = await api.call("GET", "/api/me/export", 200, who=eve)
        # The mail about their address may be sent meanwhile.
        del export["exported_at"], export["waiting_mails"]
        return [*[await api.call("GET", path, 200, who=eve) for path in paths], export]

    before, mails = await known(), await rows.fetch("SELECT coalesce(max(id), 0) FROM outbox")
    broadcasts.seen.clear()
    for path in (f"listings/{listing_id}", f"users/{eve.id}", f"replies/{reply['id']}", f"messages/{message_id}"):
        made = await report(api, ann, path)
        if path.startswith("messages"):
            await api.call("GET", f"/api/reports/{made['id']}/messages", 200, who=moderator)
        await api.call("PUT", f"/api/reports/{made['id']}/resolved", 200, who=moderator)
    after = await known()
    assert {name: rows for name, rows in after[-1].items() if rows != before[-1][name]} == {}
    assert after[:-1] == before[:-1]
    assert {topic for topic, _, _ in broadcasts.seen} == {MODERATION}
    assert await rows.fetch("SELECT id FROM outbox WHERE id > %s", mails[0][0]) == []


async def test_people_and_what_they_wrote_are_reported_again_when_they_have_done_something_since(
    api: Api, rows: Rows
) -> None:
    moderator = await api.register("Mona", Role.MODERATOR)
    ann, eve = await api.register("Ann"), await api.register("Eve")
    listing_id = await rows.listing(ann.id, title="Replied car")
    message_id = await send(api, eve, ann, "Pay me first.")
    reply = await api.call("POST", f"/api/listings/{listing_id}/replies", 201, who=eve, json={"text": "Buy mine!"})
    theirs = await rows.listing(eve.id, title="Theirs")
    paths = (f"users/{eve.id}", f"messages/{message_id}", f"replies/{reply['id']}")

    async def write() -> None:
        await send(api, eve, ann, "Pay me now.")

    async def answer() -> None:
        await api.call("POST", f"/api/listings/{listing_id}/replies", 201, who=eve, json={"text": "Cheap!"})

    async def publish() -> None:
        await rows.listing(eve.id, title="Another")

    async def change() -> None:
        await api.call("PATCH", f"/api/listings/{theirs}", 200, who=eve, json={"title": "Better"})

    for act in (write, answer, publish, change, None):
        for path in paths:
            made = await report(api, ann, path)
            await report(api, ann, path, 409)
            await api.call("PUT", f"/api/reports/{made['id']}/resolved", 200, who=moderator)
        # What others write, or the person to others, is no reason.
        await send(api, ann, eve, "Leave me alone.")
        await send(api, eve, moderator, "It was not me.")
        for path in paths:
            assert (await report(api, ann, path, 409))["type"] == "/problems/already-reported"
        if act is not None:
            await act()
