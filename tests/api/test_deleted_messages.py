"""Deleting one's own message: for both sides, at any time, and gone wherever its text was."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from shared.domain.users import Role
from tests.api.conftest import Api, Broadcasts, Person
from tests.api.rows import Rows
from tests.api.test_messages import write

pytestmark = pytest.mark.usefixtures("at_rest")


async def messages_of(api: Api, who: Person, after_id: int = 0) -> Any:
    return await api.call("GET", f"/api/messages?after_id={after_id}", 200, who=who)


async def test_a_deleted_message_keeps_its_id_and_has_no_text_on_both_sides(api: Api, broadcasts: Broadcasts) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    sent = [await write(api, ann, bob, text) for text in ("one", "my card is 4929", "three")]
    broadcasts.seen.clear()
    path = f"/api/messages/{sent[1]['id']}"
    await api.call("DELETE", path, 204, who=ann)
    told = {"id": sent[1]["id"], "from": str(ann.id), "to": str(bob.id)}
    assert [(topic, event) for topic, event, _ in broadcasts.seen] == [
        ("private_chat:2", "deleted"),
        ("private_chat:1", "deleted"),
    ]
    assert all(payload.items() >= told.items() and payload["deleted_at"] for _, _, payload in broadcasts.seen)
    for who, other in ((ann, bob), (bob, ann)):
        by_id = (await messages_of(api, who))["data"]
        page = await api.call("GET", f"/api/conversations/{other.id}/messages", 200, who=who)
        for found in (by_id, page["data"][::-1]):
            assert [one["id"] for one in found] == [one["id"] for one in sent]
            assert [one["message"] for one in found] == ["one", "", "three"]
            assert ["deleted_at" in one for one in found] == [False, True, False]
    # A second time nothing happens.
    broadcasts.seen.clear()
    before = await messages_of(api, bob)
    await api.call("DELETE", path, 204, who=ann)
    assert not broadcasts.seen
    assert await messages_of(api, bob) == before


async def test_two_deletions_at_once_are_one(api: Api, broadcasts: Broadcasts) -> None:
    ann, bob = await api.register(), await api.register()
    sent = await write(api, ann, bob, "Hi")
    broadcasts.seen.clear()
    await asyncio.gather(*(api.call("DELETE", f"/api/messages/{sent['id']}", 204, who=ann) for _ in range(5)))
    assert len(broadcasts.seen) == 2


async def test_only_the_sender_deletes_a_message_and_others_do_not_learn_that_it_exists(
    api: Api, broadcasts: Broadcasts, rows: Rows
) -> None:
    ann, bob, eve = [await api.register() for _ in range(3)]
    sent = await write(api, ann, bob, "Hi")
    path = f"/api/messages/{sent['id']}"
    admin, moderator = await api.register(role=Role.ADMIN), await api.register(role=Role.MODERATOR)
    broadcasts.seen.clear()
    await api.call("DELETE", path, 401)
    await api.call("DELETE", path, 403, who=bob)
    for who in (eve, moderator, admin):
        await api.call("DELETE", path, 404, who=who)
    for wrong in ("99999", "0", "-1", "x", str(2**63), "1.0"):
        await api.call("DELETE", f"/api/messages/{wrong}", 404, who=ann)
    problem = await api.call("DELETE", f"{path}?really=yes", 422, who=ann)
    assert set(problem["errors"]) == {"really"}
    assert not broadcasts.seen
    assert (await messages_of(api, bob))["data"] == [sent]
    # What waits for a moderator is its sender's alone, also when it is deleted.
    await rows.execute("UPDATE messages SET held_at = now()")
    await api.call("DELETE", path, 404, who=bob)
    await api.call("DELETE", path, 204, who=ann)
    assert [(topic, payload["to"]) for topic, _, payload in broadcasts.seen] == [("private_chat:1", "1")]


async def test_either_side_of_a_block_deletes_what_they_wrote(api: Api) -> None:
    ann, bob = await api.register(), await api.register()
    anns, bobs = await write(api, ann, bob, "from Ann"), await write(api, bob, ann, "from Bob")
    await api.call("PUT", f"/api/users/{bob.id}/block", 200, who=ann)
    for who, sent in ((ann, anns), (bob, bobs)):
        await api.call("DELETE", f"/api/messages/{sent['id']}", 204, who=who)
    for who in (ann, bob):
        assert [one["message"] for one in (await messages_of(api, who))["data"]] == ["", ""]


async def test_the_text_is_gone_everywhere_but_in_a_report(api: Api, rows: Rows) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    moderator = await api.register(role=Role.MODERATOR)
    headers = {"Idempotency-Key": "one-key"}
    body = {"to": bob.id, "message": "the-secret-text"}
    sent = await api.call("POST", "/api/messages", 201, who=ann, json=body, headers=headers)
    await api.accept(bob, ann)
    [conversation] = (await api.call("GET", "/api/conversations", 200, who=bob))["data"]
    assert conversation["unread_count"] == 1
    facts = {"other_id": ann.id, "text": "the-secret-text", "count": 1, "name": "Bob", "sender": "Ann", "title": None}
    await rows.execute(
        "INSERT INTO outbox (user_id, kind, address, facts) VALUES (%s, 'message', 'bob@example.com', %s)",
        bob.id,
        json.dumps(facts),
    )
    report = {"reason": "fraud", "text": "Look."}
    await api.call("POST", f"/api/messages/{sent['id']}/reports", 201, who=bob, json=report)
    await api.call("DELETE", f"/api/messages/{sent['id']}", 204, who=ann)

    for who in (ann, bob):
        [conversation] = (await api.call("GET", "/api/conversations", 200, who=who))["data"]
        assert conversation["last_message"]["message"] == ""
        assert conversation["last_message"]["deleted_at"]
        # Nobody has to read it any more.
        assert conversation["unread_count"] == 0
        copy = await api.call("GET", "/api/me/export", 200, who=who)
        [message] = copy["messages"]
        assert message["text"] == ""
        assert message["deleted_at"]
    for table in ("messages", "repeatable_requests", "outbox", "waiting_news", "deleted_messages", "audit"):
        assert "the-secret-text" not in str(await rows.fetch(f"SELECT t::text FROM {table} t"))
    [queued] = (await api.call("GET", "/api/reports", 200, who=moderator))["data"]
    assert "the-secret-text" in str(queued)
    # A repeat of its request is answered with the message as it is now.
    again = await api.call("POST", "/api/messages", 201, who=ann, json=body, headers=headers)
    assert (again["id"], again["message"]) == (sent["id"], "")
    assert again["deleted_at"]


@pytest.mark.parametrize("text", ["Once", "Twice"])
async def test_a_repeat_with_its_client_ref_does_not_bring_it_back(api: Api, text: str) -> None:
    ann, bob = await api.register(), await api.register()
    sent = await write(api, ann, bob, "Once", client_ref="a")
    await api.call("DELETE", f"/api/messages/{sent['id']}", 204, who=ann)
    again = await write(api, ann, bob, text, client_ref="a")
    assert (again["id"], again["message"]) == (sent["id"], "")
    assert again["deleted_at"]
    assert [one["message"] for one in (await messages_of(api, bob))["data"]] == [""]


async def test_catching_up_names_what_was_deleted_since_the_last_message(api: Api, rows: Rows) -> None:
    ann, bob, eve = [await api.register() for _ in range(3)]
    sent = [await write(api, ann, bob, str(number)) for number in range(4)]
    sent += [await write(api, bob, ann, "Bob's"), await write(api, eve, ann, "Eve's")]
    last = sent[-1]["id"]
    assert "deleted" not in await messages_of(api, bob, last)
    for who, one in ((ann, sent[0]), (bob, sent[4]), (eve, sent[5])):
        await api.call("DELETE", f"/api/messages/{one['id']}", 204, who=who)
    expected = [(ann, {0, 4, 5}), (bob, {0, 4}), (eve, {5})]
    for who, numbers in expected:
        page = await messages_of(api, who, last)
        assert set(page["deleted"]) == {sent[number]["id"] for number in numbers}
        assert "more_deleted" not in page
        # It is the same each time.
        assert await messages_of(api, who, last) == page
    # What comes after the id comes as it is now.
    page = await messages_of(api, bob, sent[3]["id"])
    assert page["deleted"] == [sent[0]["id"]]
    assert [one["message"] for one in page["data"] if one["id"] > sent[3]["id"]] == [""]
    assert "deleted" not in await messages_of(api, bob, 0)
    # A client that has a later message was told of it before.
    await rows.execute("UPDATE deleted_messages SET deleted_at = deleted_at - interval '1 hour'")
    assert "deleted" not in await messages_of(api, bob, last)


async def test_of_many_deletions_the_latest_are_named_and_that_there_are_more(api: Api) -> None:
    ann, bob = await api.register(), await api.register()
    sent = [await write(api, ann, bob, str(number)) for number in range(4)]
    for one in sent:
        await api.call("DELETE", f"/api/messages/{one['id']}", 204, who=ann)
    page = await api.call("GET", f"/api/messages?after_id={sent[-1]['id']}&limit=3", 200, who=bob)
    assert page["deleted"] == [one["id"] for one in sent[:0:-1]]
    assert page["more_deleted"] is True
