"""Private messages and conversations by REST."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.problems import Problem
from shared.domain.users import Role
from shared.settings import Settings
from tests.api.conftest import Api, Broadcasts, Person
from tests.api.rows import Rows
from tests.api.test_pictures import upload
from tests.support.database import sent_messages

pytestmark = pytest.mark.usefixtures("at_rest")


async def write(api: Api, who: Person, to: Person, text: str, **more: Any) -> Any:
    return await api.call("POST", "/api/messages", 201, who=who, json={"to": to.id, "message": text, **more})


async def test_a_message_is_stored_answered_and_broadcast_to_both(
    api: Api, broadcasts: Broadcasts, settings: Settings
) -> None:
    someone, other = await api.register(), await api.register()
    answer = await api.call(
        "POST", "/api/messages", 201, who=someone, json={"to": other.id, "message": "Hey \U0001f697"}
    )
    assert (
        answer.items()
        >= {"from": "1", "to": "2", "message": "Hey \U0001f697", "listing_id": None, "read_at": None}.items()
    )
    assert answer["inserted_at"].endswith("Z")
    assert broadcasts.seen == [("private_chat:2", "send", answer), ("private_chat:1", "send", answer)]
    assert sent_messages(settings.database_url, 1, 2) == [(answer["id"], 1, 2, "Hey \U0001f697")]


async def test_a_message_to_oneself_is_broadcast_once(api: Api, broadcasts: Broadcasts) -> None:
    someone = await api.register()
    await api.call("POST", "/api/messages", 201, who=someone, json={"to": str(someone.id), "message": "Note"})
    assert [seen[0] for seen in broadcasts.seen] == ["private_chat:1"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": 99}, "to"),
        ({"to": "99"}, "to"),
        ({"to": "x"}, "to"),
        ({"to": 0}, "to"),
        ({"to": True}, "to"),
        ({"to": 2.5}, "to"),
        ({"to": "2.0"}, "to"),
        ({"to": "02"}, "to"),
        ({"to": 2**63}, "to"),
        ({"to": 10**4000}, "to"),
        ({"to": None}, "to"),
        ({"to": {}}, "to"),
        ({"message": ""}, "message"),
        ({"message": " \n\u3000"}, "message"),
        ({"message": "x" * 4001}, "message"),
        ({"message": "nul \x00"}, "message"),
        ({"message": "half \udc00"}, "message"),
        ({"message": 7}, "message"),
        ({"message": None}, "message"),
        ({"listing_id": 7}, "listing_id"),
        ({"listing_id": "x"}, "listing_id"),
        ({"client_ref": ""}, "client_ref"),
        ({"client_ref": "x" * 201}, "client_ref"),
        ({"client_ref": 5}, "client_ref"),
        ({"client_ref": "\ud800"}, "client_ref"),
        ({"extra": 1}, "extra"),
    ],
    ids=lambda value: str(value)[:30].encode("ascii", "replace").decode(),
)
async def test_a_wrong_message_is_refused_and_not_stored(
    api: Api, broadcasts: Broadcasts, settings: Settings, change: dict[str, Any], field: str
) -> None:
    someone, other = await api.register(), await api.register()
    body = {"to": other.id, "message": "Hi", **change}
    problem = await api.call("POST", "/api/messages", 422, who=someone, json=body)
    assert set(problem["errors"]) == {field}
    assert not sent_messages(settings.database_url, 1, 2)
    assert not broadcasts.seen


async def test_the_longest_message_is_stored_unchanged(api: Api) -> None:
    someone, other = await api.register(), await api.register()
    text = "\U0001f697\"\\'%s{},NULL" + "ä" * 3987
    assert len(text) == 4000
    answer = await api.call("POST", "/api/messages", 201, who=someone, json={"to": other.id, "message": text})
    assert answer["message"] == text
    [read] = (await api.call("GET", "/api/messages", 200, who=other))["data"]
    assert read == answer


async def test_a_repeated_client_ref_is_answered_with_the_first_message(api: Api, settings: Settings) -> None:
    someone, other = await api.register(), await api.register()
    body = {"to": other.id, "message": "Once", "client_ref": 'ref \\ " 1'}
    first = await api.call("POST", "/api/messages", 201, who=someone, json=body)
    again = await api.call("POST", "/api/messages", 201, who=someone, json={**body, "message": "Twice"})
    assert again == first
    answers = await asyncio.gather(
        *(api.call("POST", "/api/messages", 201, who=someone, json={**body, "client_ref": "race"}) for _ in range(8))
    )
    assert len({answer["id"] for answer in answers}) == 1
    await api.call("POST", "/api/messages", 201, who=other, json={**body, "to": someone.id})
    assert len(sent_messages(settings.database_url, 1, 2)) == 3


async def test_pages_of_messages_after_an_id_are_oldest_first(api: Api) -> None:
    someone, other, third = await api.register(), await api.register(), await api.register()
    sent = []
    for number in range(5):
        sender, recipient = (someone, other) if number % 2 else (other, someone)
        sent.append(await api.call("POST", "/api/messages", 201, who=sender, json={"to": recipient.id, "message": "x"}))
        await api.call("POST", "/api/messages", 201, who=other, json={"to": third.id, "message": "not yours"})
    first = await api.call("GET", "/api/messages?after_id=0&limit=3", 200, who=someone)
    assert first["data"] == sent[:3]
    params = {"cursor": first["next_cursor"], "limit": "3"}
    rest = await api.call("GET", "/api/messages", 200, who=someone, params=params)
    assert rest == {"data": sent[3:], "next_cursor": None}


async def test_catching_up_repeats_some_messages_before_after_id_and_ends(api: Api) -> None:
    someone, other = await api.register(), await api.register()
    sent = [
        await api.call("POST", "/api/messages", 201, who=other, json={"to": someone.id, "message": "x"})
        for _ in range(12)
    ]
    first = await api.call("GET", f"/api/messages?after_id={sent[4]['id']}&limit=6", 200, who=someone)
    # At most half of the page repeats messages up to `after_id`.
    assert first["data"] == sent[2:8]
    pages = [first]
    while pages[-1]["next_cursor"]:
        params = {"cursor": pages[-1]["next_cursor"], "limit": "6"}
        pages.append(await api.call("GET", "/api/messages", 200, who=someone, params=params))
    assert [message for page in pages[1:] for message in page["data"]] == sent[8:]
    last = await api.call("GET", f"/api/messages?after_id={sent[-1]['id']}", 200, who=someone)
    assert last == {"data": sent[2:], "next_cursor": None}


@pytest.mark.parametrize("query", ["after_id=-1", "after_id=x", "after_id=9223372036854775808", "after_id=1.5"])
async def test_a_wrong_after_id_is_422(api: Api, query: str) -> None:
    someone = await api.register()
    assert "after_id" in (await api.call("GET", f"/api/messages?{query}", 422, who=someone))["errors"]


async def test_conversations_are_latest_first_with_their_unread_counts(api: Api) -> None:
    me = await api.register("Me")
    others = [await api.register(f"Other {number}") for number in range(4)]
    for other in others:
        for _ in range(2):
            await api.call("POST", "/api/messages", 201, who=other, json={"to": me.id, "message": "Hi"})
    await api.accept(me, *others)
    mine = await api.call("POST", "/api/messages", 201, who=me, json={"to": others[1].id, "message": "Hello"})
    await api.call("POST", "/api/messages", 201, who=others[0], json={"to": others[2].id, "message": "not yours"})
    first = await api.call("GET", "/api/conversations?limit=2", 200, who=me)
    assert [one["user"] for one in first["data"]] == [
        {"id": others[1].id, "name": "Other 1"},
        {"id": others[3].id, "name": "Other 3"},
    ]
    assert first["data"][0]["last_message"] == mine
    assert [one["unread_count"] for one in first["data"]] == [2, 2]
    rest = await api.call(
        "GET", "/api/conversations", 200, who=me, params={"limit": "2", "cursor": first["next_cursor"]}
    )
    assert [one["user"]["id"] for one in rest["data"]] == [others[2].id, others[0].id]
    assert rest["next_cursor"] is None


async def test_a_conversation_has_the_listing_that_was_named_last_as_it_is_now(api: Api, rows: Rows) -> None:
    me, other = await api.register("Me"), await api.register("Other")
    category = await rows.category()
    first = await rows.listing(other.id, category, title="First car", price=900)
    second = await rows.listing(other.id, category, title="Second car", visibility="private")
    picture = await upload(api, first, other)

    async def listing(who: Person = me) -> Any:
        [found] = (await api.call("GET", "/api/conversations", 200, who=who))["data"]
        [by_user] = (await api.call("GET", "/api/conversations?sort=user", 200, who=who))["data"]
        assert by_user == found
        return found["listing"]

    await write(api, me, other, "Hello")
    assert await listing() is None
    await write(api, me, other, "Is it there?", listing_id=first)
    await write(api, other, me, "Yes")
    brief = {"id": first, "title": "First car", "price": 900, "status": "available", "for_anyone": True}
    assert await listing() == await listing(other) == brief | {"thumbnail_url": picture["thumbnail_url"]}
    await api.call("PATCH", f"/api/listings/{first}", 200, who=other, json={"status": "sold"})
    assert (await listing())["status"] == "sold"
    await write(api, other, me, "But I have another", listing_id=second)
    brief = {"id": second, "title": "Second car", "price": None, "status": "available", "for_anyone": False}
    assert await listing() == brief | {"thumbnail_url": None}
    # What somebody may not see any more is not in their conversations either.
    await rows.execute("UPDATE listings SET hidden_at = now() WHERE id = %s", second)
    assert await listing() is None
    assert (await listing(other))["title"] == "Second car"


async def test_a_conversation_and_a_profile_say_whether_i_have_blocked_the_other(api: Api) -> None:
    me, other = await api.register("Me"), await api.register("Other")
    await write(api, other, me, "Hello")
    await api.accept(me, other)

    async def blocked(who: Person, whom: Person) -> bool:
        [found] = (await api.call("GET", "/api/conversations", 200, who=who))["data"]
        profile = await api.call("GET", f"/api/users/{whom.id}", 200, who=who)
        assert profile["blocked"] is found["blocked"]
        return bool(found["blocked"])

    assert not await blocked(me, other)
    await api.call("PUT", f"/api/users/{other.id}/block", 200, who=me)
    assert await blocked(me, other)
    assert not await blocked(other, me)
    await api.call("DELETE", f"/api/users/{other.id}/block", 204, who=me)
    assert not await blocked(me, other)


async def test_conversations_can_be_ordered_by_user_and_limited_to_some_users(api: Api) -> None:
    me = await api.register("Me")
    others = [await api.register(f"Other {number}") for number in range(4)]
    for number in (2, 0, 3, 1):
        await api.call("POST", "/api/messages", 201, who=others[number], json={"to": me.id, "message": "Hi"})
    await api.accept(me, *others)

    async def page(status: int = 200, **params: str) -> Any:
        return await api.call("GET", "/api/conversations", status, who=me, params=params)

    first = await page(sort="user", limit="3")
    rest = await page(sort="user", cursor=first["next_cursor"])
    assert [one["user"]["id"] for one in first["data"] + rest["data"]] == [one.id for one in others]
    assert rest["next_cursor"] is None
    some = await page(user_ids=f"{others[0].id},{others[2].id},99,{others[3].id}", limit="2")
    assert [one["user"]["id"] for one in some["data"]] == [others[3].id, others[0].id]
    rest = await page(user_ids=f"{others[0].id},{others[2].id}", cursor=some["next_cursor"])
    assert [one["user"]["id"] for one in rest["data"]] == [others[2].id]

    assert list((await page(422, sort="latest", cursor=first["next_cursor"]))["errors"]) == ["cursor"]
    assert list((await page(422, sort="user", user_ids="1"))["errors"]) == ["user_ids"]
    for wrong in ("", "1,", "x", "0", "-1", "1,,2", "9223372036854775808", ",".join("1" * 101)):
        assert list((await page(422, user_ids=wrong))["errors"]) == ["user_ids"]
    assert (await page(user_ids=",".join("1" * 100)))["data"] == []


async def test_pages_of_a_conversation_are_newest_first_and_unmoved_by_new_messages(api: Api) -> None:
    me, other = await api.register(), await api.register()
    sent = [
        await api.call("POST", "/api/messages", 201, who=who, json={"to": to, "message": "x"})
        for who, to in [(me, other.id), (other, me.id)] * 3
    ]
    path = f"/api/conversations/{other.id}/messages"
    first = await api.call("GET", path + "?limit=4", 200, who=me)
    assert first["data"] == sent[:1:-1]
    await api.call("POST", "/api/messages", 201, who=me, json={"to": other.id, "message": "new"})
    rest = await api.call("GET", path, 200, who=me, params={"cursor": first["next_cursor"]})
    assert rest == {"data": sent[1::-1], "next_cursor": None}
    await api.call("GET", "/api/conversations/99/messages", 404, who=me)


async def test_reading_marks_messages_and_is_broadcast_to_both_users(api: Api, broadcasts: Broadcasts) -> None:
    me, other = await api.register(), await api.register()
    sent = [
        await api.call("POST", "/api/messages", 201, who=other, json={"to": me.id, "message": "x"}) for _ in range(3)
    ]
    await api.accept(me, other)
    broadcasts.seen.clear()
    path = f"/api/conversations/{other.id}/read"
    await api.call("PUT", path, 204, who=me, json={"up_to": sent[1]["id"]})
    payload = {"by": str(me.id), "with": str(other.id), "up_to": sent[1]["id"]}
    assert broadcasts.seen == [
        (f"private_chat:{other.id}", "read", payload),
        (f"private_chat:{me.id}", "read", payload),
    ]
    [conversation] = (await api.call("GET", "/api/conversations", 200, who=me))["data"]
    assert conversation["unread_count"] == 1
    seen = (await api.call("GET", f"/api/conversations/{me.id}/messages", 200, who=other))["data"]
    assert [message["read_at"] is not None for message in seen] == [False, True, True]
    await api.call("PUT", path, 422, who=me, json={"up_to": "x"})
    await api.call("PUT", "/api/conversations/99/read", 404, who=me, json={"up_to": 1})


async def test_a_message_is_stored_although_its_broadcast_fails(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise Problem("the broker is broken")

    monkeypatch.setattr("shared.pubsub.memory.MemoryBroker.publish", refuse)
    someone = await api.register()
    await api.call("POST", "/api/messages", 201, who=someone, json={"to": someone.id, "message": "Hi"})


@pytest.mark.parametrize("state", ["hidden", "trashed"])
async def test_an_invisible_listing_is_refused_like_an_absent_one(api: Api, rows: Rows, state: str) -> None:
    seller, buyer, moderator = await api.register(), await api.register(), await api.register(role=Role.MODERATOR)
    listing_id = await rows.listing(seller.id, category_id=None, **{f"{state}_at": "now()"})
    body = {"to": seller.id, "message": "Still there?", "listing_id": listing_id}
    refused = await api.call("POST", "/api/messages", 422, who=buyer, json=body)
    absent = await api.call("POST", "/api/messages", 422, who=buyer, json={**body, "listing_id": listing_id + 1})
    assert refused == absent
    if state == "hidden":
        for sender, recipient in ((moderator, seller), (seller, buyer)):
            await api.call("POST", "/api/messages", 201, who=sender, json={**body, "to": recipient.id})
