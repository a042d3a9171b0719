"""The same text to many waits for a moderator: no recipient learns of it until it is let go, and each gets it once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from api.services import SERVICES
from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.events.topics import MODERATION, private_chat
from shared.repositories.holds import HoldRepository
from tests.api.conftest import NEVER, Api, Broadcasts, MakeApi, Person
from tests.api.locks import Held
from tests.api.rows import Rows
from tests.api.test_message_pictures import send, statuses, upload
from tests.api.test_messages import write
from tests.api.test_requests import conversations

NAMES = ("Ann", "Bob", "Cat", "Dan")
PEOPLE = 2
OFFER = "Hello {}, I sell gold watches far below their price. Write to me, and I tell you more about this offer."


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """An API that lets messages go only when a test says so."""
    return await make_api(telling_seconds=NEVER, similar_messages_people=PEOPLE, similar_questions_people=PEOPLE)


Spam = tuple[Person, list[Person], list[Any]]


async def somebody(api: Api, rows: Rows, role: Role = Role.USER) -> Person:
    """A person without a password, because hashing one takes long."""
    [[user_id]] = await rows.fetch(
        """INSERT INTO users (email, name, password_hash, role)
           VALUES (gen_random_uuid() || '@example.com', 'Somebody', '-', %s) RETURNING id""",
        role.value,
    )
    token = Tokens(api.settings.jwt_secrets, 3600).issue(user_id, role, None)
    return Person(user_id, "", token, "")


@pytest.fixture
async def spam(api: Api, rows: Rows) -> Spam:
    """A sender, the recipients, and the answers to messages to each of them: those after PEOPLE are held."""
    sender, *people = [await somebody(api, rows) for _ in range(5)]
    return sender, people, [await write(api, sender, one, OFFER.format(NAMES[at])) for at, one in enumerate(people)]


async def let_go(api: Api) -> None:
    """Deliver all that may go."""
    while await api.client.app[SERVICES].telling.step():
        pass


async def the_hold(api: Api, moderator: Person) -> Any:
    [hold] = await api.every_page("/api/holds", who=moderator)
    return hold


async def decide(api: Api, moderator: Person, decision: str) -> Any:
    hold = await the_hold(api, moderator)
    return await api.call("PUT", f"/api/holds/{hold['id']}/decision", 200, who=moderator, json={"decision": decision})


async def all_messages(api: Api, who: Person) -> list[Any]:
    found: list[Any] = (await api.call("GET", "/api/messages", 200, who=who))["data"]
    return found


async def test_the_sender_is_told_that_a_message_waits_and_its_recipient_nothing(
    api: Api, broadcasts: Broadcasts, spam: Spam
) -> None:
    sender, people, sent = spam
    assert ["held" in one for one in sent] == [False, False, True, True]
    held = sent[2]
    assert [topic for topic, event, payload in broadcasts.seen if payload == held] == [private_chat(sender.id)]
    assert held in await all_messages(api, sender)
    cat = people[2]
    assert await all_messages(api, cat) == []
    for query in ({}, {"sort": "user"}, {"request": "open"}, {"user_ids": str(sender.id)}):
        assert await conversations(api, cat, **query) == []
    with_sender = f"/api/conversations/{sender.id}"
    assert (await api.call("GET", f"{with_sender}/messages", 200, who=cat))["data"] == []
    await api.call("PUT", f"{with_sender}/request", 404, who=cat, json={"state": "accepted"})
    await api.call("POST", f"/api/messages/{held['id']}/reports", 404, who=cat, json={"reason": "spam"})
    await api.call("DELETE", f"/api/messages/{held['id']}", 404, who=cat)
    response = await api.client.get("/api/me/export", headers=cat.headers)
    assert "watches" not in await response.text()
    response = await api.client.get("/api/me/export", headers=sender.headers)
    assert "held_at" in await response.text()


async def test_a_repeated_request_for_a_held_message_is_answered_alike(api: Api, spam: Spam) -> None:
    sender, people, _ = spam
    body = {"to": people[3].id, "message": OFFER.format("you"), "client_ref": "a"}
    headers = {"Idempotency-Key": "one"}
    first = await api.call("POST", "/api/messages", 201, who=sender, json=body, headers=headers)
    assert first["held"] is True
    assert await api.call("POST", "/api/messages", 201, who=sender, json=body, headers=headers) == first
    assert await api.call("POST", "/api/messages", 201, who=sender, json=body) == first


async def test_a_message_that_a_moderator_lets_go_comes_once_to_both_with_a_new_id(
    api: Api, spam: Spam, broadcasts: Broadcasts, rows: Rows
) -> None:
    sender, people, sent = spam
    moderator = await somebody(api, rows, Role.MODERATOR)
    last_id = (await write(api, people[0], people[1], "Something else, which came later."))["id"]
    await let_go(api)
    assert [payload["person_id"] for topic, event, payload in broadcasts.seen if topic == MODERATION] == [sender.id]
    hold = await the_hold(api, moderator)
    assert (hold["messages"], hold["people"], hold["person"]["id"]) == (2, 2, sender.id)
    assert hold["texts"] == [OFFER.format("Dan"), OFFER.format("Cat")]
    [group] = await api.every_page("/api/moderation/queue", who=moderator)
    [entry] = group["entries"]
    assert (group["kind"], group["id"], entry["kind"], entry["people"]) == ("person", sender.id, "held_messages", 2)
    assert entry["quote"] == OFFER.format("Cat")
    assert (await decide(api, moderator, "let_go"))["decision"] == "let_go"
    broadcasts.seen.clear()
    await let_go(api)
    for person, held in zip(people[2:], sent[2:], strict=True):
        [got] = await all_messages(api, person)
        assert got == {
            **{key: value for key, value in held.items() if key != "held"},
            "id": got["id"],
            "inserted_at": got["inserted_at"],
            "was_id": held["id"],
        }
        assert got["id"] > last_id
        told = [topic for topic, event, payload in broadcasts.seen if (event, payload) == ("send", got)]
        assert sorted(told) == sorted(private_chat(one.id) for one in (sender, person))
        [request] = await conversations(api, person, request="open")
        assert (request["unread_count"], request["last_message"]) == (1, got)
        # Whoever reads on after the last id that was there before gets it.
        missed = await api.call("GET", f"/api/messages?after_id={last_id}", 200, who=person)
        assert missed["data"] == [got]
    ids = [one["id"] for one in await all_messages(api, sender)]
    assert len(ids) == 4
    assert not {held["id"] for held in sent[2:]} & set(ids)
    broadcasts.seen.clear()
    await let_go(api)
    assert broadcasts.seen == []
    assert await api.every_page("/api/holds", who=moderator) == []
    assert await api.every_page("/api/moderation/queue", who=moderator) == []
    acts = await rows.fetch("SELECT action, actor_id, details FROM audit WHERE target_type = 'hold'")
    assert acts == [("hold_let_go", moderator.id, {"user_id": sender.id})]
    # What was let go is no reason to hold the next ones.
    assert "held" not in await write(api, sender, await somebody(api, rows), OFFER.format("Eve"))


@pytest.mark.parametrize("how", ["decision", "queue"])
async def test_a_message_that_is_kept_back_stays_with_its_sender(
    api: Api, spam: Spam, how: str, rows: Rows, broadcasts: Broadcasts
) -> None:
    sender, people, sent = spam
    moderator = await somebody(api, rows, Role.MODERATOR)
    if how == "decision":
        await decide(api, moderator, "kept")
        # What was decided stays.
        [[hold_id]] = await rows.fetch("SELECT id FROM holds")
        again = {"decision": "let_go"}
        answer = await api.call("PUT", f"/api/holds/{hold_id}/decision", 200, who=moderator, json=again)
        assert answer["decision"] == "kept"
    else:
        [group] = await api.every_page("/api/moderation/queue", who=moderator)
        path = f"/api/moderation/queue/people/{sender.id}/resolved"
        await api.call("PUT", path, 200, who=moderator, json={"up_to": group["newest_at"]})
    assert await api.every_page("/api/moderation/queue", who=moderator) == []
    broadcasts.seen.clear()
    await rows.execute("UPDATE held_messages SET held_at = now() - interval '1 year'")
    await let_go(api)
    assert [event for _, event, _ in broadcasts.seen if event == "send"] == []
    assert await all_messages(api, sender) == sent
    assert await all_messages(api, people[2]) == []
    assert await rows.fetch("SELECT action FROM audit WHERE target_type = 'hold'") == [("hold_keep",)]


@pytest.mark.parametrize("rule", ["the recipient writes", "nobody decides"])
async def test_a_message_goes_by_the_rule(api: Api, spam: Spam, rows: Rows, rule: str) -> None:
    sender, people, sent = spam
    if rule == "nobody decides":
        old = "UPDATE held_messages SET held_at = now() - interval '25 hours' WHERE to_id = %s"
        await rows.execute(old, people[2].id)
    else:
        await write(api, people[2], sender, "Are you the one with the watches?")
    await let_go(api)
    got = [one for one in await all_messages(api, people[2]) if one["from"] == str(sender.id)]
    assert [one.get("was_id") for one in got] == [sent[2]["id"]]
    assert ("request" in got[0]) is (rule == "nobody decides")
    # The other one waits on.
    assert await all_messages(api, people[3]) == []
    moderator = await somebody(api, rows, Role.MODERATOR)
    assert (await the_hold(api, moderator))["messages"] == 1


REFUSALS = {
    "a block by the recipient": "INSERT INTO blocks (blocker_id, blocked_id) VALUES ({to}, {sender})",
    "a block by the sender": "INSERT INTO blocks (blocker_id, blocked_id) VALUES ({sender}, {to})",
    "a ban": "UPDATE users SET banned_at = now(), banned_by = id, ban_reason = 'spam' WHERE id = {sender}",
    "the sender has left": "UPDATE users SET deleted_at = now() WHERE id = {sender}",
    "the recipient has left": "UPDATE users SET deleted_at = now() WHERE id = {to}",
    "no requests": "UPDATE users SET takes_requests = false WHERE id = {to}",
}


@pytest.mark.parametrize("why", REFUSALS)
async def test_what_would_be_refused_is_not_delivered(
    api: Api, spam: Spam, rows: Rows, broadcasts: Broadcasts, why: str
) -> None:
    sender, people, sent = spam
    await rows.execute(REFUSALS[why].format(sender=sender.id, to=people[2].id))
    moderator = await somebody(api, rows, Role.MODERATOR)
    await decide(api, moderator, "let_go")
    broadcasts.seen.clear()
    await let_go(api)
    to = {payload["to"] for _, event, payload in broadcasts.seen if event == "send"}
    assert str(people[2].id) not in to
    is_of_sender = why in ("a ban", "the sender has left")
    assert (str(people[3].id) in to) is not is_of_sender
    kept = await rows.fetch("SELECT held_at IS NOT NULL FROM messages WHERE id = %s", sent[2]["id"])
    assert kept == [(True,)]


async def test_a_deleted_held_message_is_gone_for_its_sender_and_never_was_for_its_recipient(
    api: Api, spam: Spam, broadcasts: Broadcasts, rows: Rows
) -> None:
    sender, people, sent = spam
    moderator = await somebody(api, rows, Role.MODERATOR)
    broadcasts.seen.clear()
    await api.call("DELETE", f"/api/messages/{sent[2]['id']}", 204, who=sender)
    assert {topic for topic, _, _ in broadcasts.seen} == {private_chat(sender.id)}
    assert (await the_hold(api, moderator))["messages"] == 1
    await api.call("DELETE", f"/api/messages/{sent[3]['id']}", 204, who=sender)
    assert await api.every_page("/api/holds", who=moderator) == []
    assert await api.every_page("/api/moderation/queue", who=moderator) == []
    await rows.execute("UPDATE held_messages SET held_at = now() - interval '1 year'")
    await let_go(api)
    for person in people[2:]:
        assert await all_messages(api, person) == []


async def test_a_held_message_that_is_delivered_while_its_sender_deletes_it_is_not_said_to_be_deleted(
    api: Api, spam: Spam, rows: Rows
) -> None:
    sender, people, sent = spam
    async with rows.database.transaction() as transaction:
        delivered = await HoldRepository(transaction).let_go(sent[2]["id"])
        assert delivered is not None
        deleting = asyncio.create_task(api.call("DELETE", f"/api/messages/{sent[2]['id']}", 404, who=sender))
        await Held(transaction).until_waiting(1, deleting)
    await deleting
    [got] = await all_messages(api, people[2])
    assert (got["id"], got["message"]) == (delivered.id, sent[2]["message"])
    # Under its new id it can be deleted.
    await api.call("DELETE", f"/api/messages/{got['id']}", 204, who=sender)
    assert [one["message"] for one in await all_messages(api, people[2])] == [""]


async def test_a_moderator_does_not_see_or_decide_what_is_held_of_themselves(api: Api, spam: Spam, rows: Rows) -> None:
    sender, _, _ = spam
    await rows.execute("UPDATE users SET role = 'moderator' WHERE id = %s", sender.id)
    token = Tokens(api.settings.jwt_secrets, 3600).issue(sender.id, Role.MODERATOR, None)
    sender = replace(sender, access_token=token)
    assert await api.every_page("/api/holds", who=sender) == []
    [[hold_id]] = await rows.fetch("SELECT id FROM holds")
    await api.call("PUT", f"/api/holds/{hold_id}/decision", 404, who=sender, json={"decision": "let_go"})


async def test_the_pictures_of_a_held_message_are_its_senders_until_it_is_delivered(
    api: Api, spam: Spam, rows: Rows
) -> None:
    sender, *_ = spam
    eve = await somebody(api, rows)
    picture = await upload(api, sender)
    sent = await send(api, sender, eve, picture, message=OFFER.format("Eve"))
    assert sent["held"] is True
    assert (await statuses(api, picture, sender), await statuses(api, picture, eve)) == ({200}, {404})
    await decide(api, await somebody(api, rows, Role.MODERATOR), "let_go")
    await let_go(api)
    [got] = await all_messages(api, eve)
    assert got["pictures"] == [picture]
    assert (await statuses(api, picture, sender), await statuses(api, picture, eve)) == ({200}, {200})


async def test_gateways_that_missed_a_delivery_read_it_after_the_gap(api: Api, spam: Spam, rows: Rows) -> None:
    _, people, sent = spam
    messages = api.client.app[SERVICES].chats.messages
    await decide(api, await somebody(api, rows, Role.MODERATOR), "let_go")
    await rows.execute("UPDATE messages SET inserted_at = inserted_at - interval '1 hour'")
    await let_go(api)
    # Whoever delivered them may have died before it published them: they are as new as what was sent then.
    last_id = await messages.last_id_before(60.0)
    read = await messages.of_users_after([people[2].id], last_id, 10)
    assert [(one.was_id, one.is_told) for one in read] == [(sent[2]["id"], True)]


async def test_several_apis_deliver_each_message_once_and_in_order(
    make_api: MakeApi, api: Api, spam: Spam, rows: Rows
) -> None:
    sender, people, _ = spam
    more = [await write(api, sender, people[2], f"{OFFER.format('Cat')} {word}") for word in ("Now!", "Please!")]
    assert all(one["held"] for one in more)
    await decide(api, await somebody(api, rows, Role.MODERATOR), "let_go")
    await asyncio.gather(*(let_go(one) for one in (api, await make_api(telling_seconds=NEVER), api)))
    got = await all_messages(api, people[2])
    assert [one["message"][-7:] for one in got] == [OFFER[-7:], "r. Now!", "Please!"]
    assert await rows.fetch("SELECT count(*) FROM messages WHERE from_id = %s", sender.id) == [(6,)]


@pytest.mark.parametrize("decision", ["let_go", "kept"])
async def test_a_decision_up_to_what_was_seen_leaves_what_was_held_later(
    api: Api, spam: Spam, rows: Rows, broadcasts: Broadcasts, decision: str
) -> None:
    sender, people, sent = spam
    moderator = await somebody(api, rows, Role.MODERATOR)
    await let_go(api)
    seen = await the_hold(api, moderator)
    assert seen["newest_id"] == sent[3]["id"]
    eve = await somebody(api, rows)
    later = await write(api, sender, eve, OFFER.format("Eve"))
    assert later["held"] is True
    broadcasts.seen.clear()
    path, body = f"/api/holds/{seen['id']}/decision", {"decision": decision, "up_to": seen["newest_id"]}
    decided = await api.call("PUT", path, 200, who=moderator, json=body)
    assert (decided["id"], decided["decision"]) == (seen["id"], decision)
    await let_go(api)
    got = [[one["message"] for one in await all_messages(api, person)] for person in people[2:]]
    assert got == ([[one["message"]] for one in sent[2:]] if decision == "let_go" else [[], []])
    assert await all_messages(api, eve) == []
    # It waits as before, and moderators are told of it.
    hold = await the_hold(api, moderator)
    assert hold["id"] != seen["id"]
    assert (hold["texts"], hold["newest_id"], hold["messages"]) == ([OFFER.format("Eve")], later["id"], 1)
    told = [(event, payload["ids"]) for topic, event, payload in broadcasts.seen if topic == MODERATION]
    assert told == [("resolved", [seen["id"]]), ("reported", [hold["id"]])]
    # More of the same is held still, in the same hold.
    fay = await somebody(api, rows)
    assert (await write(api, sender, fay, OFFER.format("Fay")))["held"] is True
    assert (await the_hold(api, moderator))["messages"] == 2
    # What was decided first stays, and takes nothing of the other hold along.
    again = {"decision": "let_go", "up_to": later["id"]}
    assert (await api.call("PUT", path, 200, who=moderator, json=again))["decision"] == decision
    assert (await the_hold(api, moderator))["messages"] == 2
    assert (await decide(api, moderator, "let_go"))["newest_id"] is not None
    await let_go(api)
    assert [len(await all_messages(api, one)) for one in (eve, fay)] == [1, 1]


async def test_what_its_recipient_has_answered_goes_from_the_later_hold_too(api: Api, spam: Spam, rows: Rows) -> None:
    sender, people, sent = spam
    moderator = await somebody(api, rows, Role.MODERATOR)
    await write(api, people[3], sender, "Are you the one with the watches?")
    hold = await the_hold(api, moderator)
    body = {"decision": "kept", "up_to": sent[2]["id"]}
    await api.call("PUT", f"/api/holds/{hold['id']}/decision", 200, who=moderator, json=body)
    await let_go(api)
    got = [[one for one in await all_messages(api, person) if one["to"] == str(person.id)] for person in people[2:]]
    assert [[one["was_id"] for one in messages] for messages in got] == [[], [sent[3]["id"]]]
    assert await api.every_page("/api/holds", who=moderator) == []


@pytest.mark.parametrize("up_to", [0, -1, 2**63, "x", "", 1.5, True, [1]])
async def test_an_id_that_is_none_decides_nothing(api: Api, spam: Spam, rows: Rows, up_to: Any) -> None:
    moderator = await somebody(api, rows, Role.MODERATOR)
    hold = await the_hold(api, moderator)
    body = {"decision": "let_go", "up_to": up_to}
    problem = await api.call("PUT", f"/api/holds/{hold['id']}/decision", 422, who=moderator, json=body)
    assert set(problem["errors"]) == {"up_to"}
    assert await the_hold(api, moderator) == hold


async def test_closing_a_group_as_it_was_seen_leaves_what_was_held_later(api: Api, spam: Spam, rows: Rows) -> None:
    sender, _, sent = spam
    moderator = await somebody(api, rows, Role.MODERATOR)
    [group] = await api.every_page("/api/moderation/queue", who=moderator)
    later = await write(api, sender, await somebody(api, rows), OFFER.format("Eve"))
    path = f"/api/moderation/queue/people/{sender.id}/resolved"
    await api.call("PUT", path, 200, who=moderator, json={"up_to": group["newest_at"]})
    hold = await the_hold(api, moderator)
    assert (hold["newest_id"], hold["messages"]) == (later["id"], 1)
    waiting = await rows.fetch("SELECT message_id FROM held_messages")
    assert waiting == [(later["id"],)]
    # Read again, the group has it, and is closed as a whole.
    [group] = await api.every_page("/api/moderation/queue", who=moderator)
    await api.call("PUT", path, 200, who=moderator, json={"up_to": group["newest_at"]})
    assert await api.every_page("/api/holds", who=moderator) == []
    assert await rows.fetch("SELECT count(*) FROM held_messages") == [(0,)]
    assert len(sent) == 4


async def test_moderators_see_all_texts_of_a_hold_in_the_queue(api: Api, spam: Spam, rows: Rows) -> None:
    sender, *_ = spam
    moderator = await somebody(api, rows, Role.MODERATOR)
    names = ("Eve", "Fay", "Gus", "Hal")
    for name in names:
        sent = await write(api, sender, await somebody(api, rows), OFFER.format(name))
    [group] = await api.every_page("/api/moderation/queue", who=moderator)
    [entry] = group["entries"]
    latest = [OFFER.format(name) for name in reversed(("Dan", *names))]
    assert (entry["texts"], entry["newest_id"], entry["pictures"]) == (latest, sent["id"], [])
    hold = await the_hold(api, moderator)
    assert (hold["texts"], hold["newest_id"], hold["pictures"]) == (latest, sent["id"], [])


async def test_moderators_see_the_pictures_of_what_waits_and_the_audit_log_says_so(
    api: Api, spam: Spam, rows: Rows
) -> None:
    sender, *_ = spam
    eve, fay = await somebody(api, rows), await somebody(api, rows)
    moderator, admin = [await somebody(api, rows, role) for role in (Role.MODERATOR, Role.ADMIN)]
    pictures = [await upload(api, sender) for _ in range(3)]
    assert (await send(api, sender, eve, *pictures[:2], message=OFFER.format("Eve")))["held"] is True
    sent = await send(api, sender, fay, pictures[2], message=OFFER.format("Fay"))
    hold = await the_hold(api, moderator)
    [group] = await api.every_page("/api/moderation/queue", who=moderator)
    assert hold["pictures"] == group["entries"][0]["pictures"] == [pictures[2], *pictures[:2]]
    for who, expected in ((moderator, {200}), (admin, {200}), (eve, {404}), (fay, {404}), (None, {401})):
        assert await statuses(api, pictures[2], who) == expected
    looks = await rows.fetch(
        "SELECT actor_id, target_type, target_id, details FROM audit WHERE action = 'message_picture_look' ORDER BY id"
    )
    # Not who would get it: an admin who would may read the log.
    assert looks == [(who.id, "hold", hold["id"], {"user_id": sender.id}) for who in (moderator, admin) for _ in "123"]
    # What is decided does not wait any more, whatever becomes of it.
    path, body = f"/api/holds/{hold['id']}/decision", {"decision": "let_go", "up_to": sent["id"] - 1}
    await api.call("PUT", path, 200, who=moderator, json=body)
    assert [await statuses(api, one, moderator) for one in pictures] == [{404}, {404}, {200}]
    await decide(api, moderator, "kept")
    assert await statuses(api, pictures[2], moderator) == {404}
    assert await statuses(api, pictures[2], sender) == {200}
