"""What strangers write is a request: apart from the inbox until it is accepted. The stranger learns nothing of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.conftest import Api, Broadcasts, MakeApi, Person
from tests.api.locks import Hold
from tests.api.rows import Rows
from tests.api.test_messages import write
from tests.api.test_messages_beside_blocks import INSERTS

pytestmark = pytest.mark.usefixtures("at_rest")


async def conversations(api: Api, who: Person, **query: str) -> list[Any]:
    found: list[Any] = (await api.call("GET", "/api/conversations", 200, who=who, params=query))["data"]
    return found


async def decide(api: Api, who: Person, other: Person, state: str) -> None:
    await api.call("PUT", f"/api/conversations/{other.id}/request", 204, who=who, json={"state": state})


async def test_a_strangers_message_says_that_it_is_a_request_and_is_not_in_the_inbox(
    api: Api, broadcasts: Broadcasts
) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    sent = await write(api, bob, ann, "I sell watches")
    assert sent["request"] is True
    assert broadcasts.seen == [(f"private_chat:{who.id}", "send", sent) for who in (ann, bob)]
    for query in ({}, {"sort": "user"}, {"request": "declined"}, {"sort": "user", "request": "declined"}):
        assert await conversations(api, ann, **query) == []
    [asked] = await conversations(api, ann, request="open")
    assert (asked["request"], asked["unread_count"], asked["last_message"]) == ("open", 1, sent)
    for query in ({"sort": "user", "request": "open"}, {"user_ids": str(bob.id)}):
        assert await conversations(api, ann, **query) == [asked]
    [mine] = await conversations(api, bob)
    assert mine["request"] is None
    assert (await api.call("GET", "/api/messages", 200, who=ann))["data"] == [sent]


async def test_a_message_about_a_car_of_the_recipient_is_no_request(api: Api, rows: Rows) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    sent = await write(api, bob, ann, "Is it there?", listing_id=await rows.listing(ann.id))
    assert "request" not in sent
    [conversation] = await conversations(api, ann)
    assert (conversation["request"], conversation["unread_count"]) == (None, 1)


@pytest.mark.parametrize("how", ["accepted", "answered"])
async def test_a_request_that_is_accepted_is_a_conversation_as_any_other(
    api: Api, broadcasts: Broadcasts, how: str
) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await write(api, bob, ann, "Hello")
    broadcasts.seen.clear()
    if how == "accepted":
        await decide(api, ann, bob, "accepted")
        told = {"with": str(bob.id), "state": "accepted"}
        # Bob is not told.
        assert broadcasts.seen == [(f"private_chat:{ann.id}", "request", told)]
    else:
        await write(api, ann, bob, "Hello")
    assert [one["request"] for one in await conversations(api, ann)] == [None]
    assert await conversations(api, ann, request="open") == []
    assert "request" not in await write(api, bob, ann, "Thank you")


async def test_who_is_declined_sees_what_they_would_see_otherwise(
    make_api: MakeApi, rows: Rows, broadcasts: Broadcasts
) -> None:
    """Two people write the same to Ann, who reads and declines the one and does not look at the other."""
    api = await make_api(rate_limits=False)
    ann, bob, eve = await api.register("Ann"), await api.register("Same"), await api.register("Same")
    car = await rows.listing(ann.id)

    async def seen_by(who: Person) -> str:
        paths = ("/api/messages", "/api/conversations", f"/api/conversations/{ann.id}/messages", f"/api/users/{ann.id}")
        found = [await api.call("GET", path, 200, who=who) for path in paths]
        found.append((await api.call("GET", "/api/me/export", 200, who=who))["messages"])
        found.append([seen[1:] for seen in broadcasts.seen if seen[0] == f"private_chat:{who.id}"])
        return without_numbers(found, who)

    first = {who.id: await write(api, who, ann, "Hello") for who in (bob, eve)}
    await api.call("PUT", f"/api/conversations/{bob.id}/read", 204, who=ann, json={"up_to": first[bob.id]["id"]})
    assert await seen_by(bob) == await seen_by(eve)
    await decide(api, ann, bob, "declined")
    assert await seen_by(bob) == await seen_by(eve)
    for more in ({}, {"client_ref": "again"}, {"client_ref": "again"}, {"listing_id": car}, {}):
        answers = [await write(api, who, ann, "And now?", **more) for who in (bob, eve)]
        assert without_numbers(answers[0], bob) == without_numbers(answers[1], eve)
        assert await seen_by(bob) == await seen_by(eve)
    # None of Ann's devices was told, but of the first one.
    to_ann = [
        seen for seen in broadcasts.seen if seen[0] == f"private_chat:{ann.id}" and seen[2].get("from") == str(bob.id)
    ]
    assert [seen[2] for seen in to_ann] == [first[bob.id]]
    caught_up = (await api.call("GET", "/api/messages", 200, who=ann))["data"]
    assert [one for one in caught_up if one["from"] == str(bob.id)] == [first[bob.id]]
    [declined] = await conversations(api, ann, request="declined")
    assert declined["last_message"]["message"] == "And now?"
    assert len((await api.call("GET", f"/api/conversations/{bob.id}/messages", 200, who=ann))["data"]) == 5
    assert "declined" not in str([await seen_by(bob), broadcasts.seen[-1]])


def without_numbers(found: Any, who: Person) -> str:
    """The value without ids and times, which differ between two people who see the same."""
    if isinstance(found, dict):
        times = ("inserted_at", "created_at")
        return str([(key, without_numbers(value, who)) for key, value in found.items() if key not in (*times, "id")])
    if isinstance(found, list | tuple):
        return str([without_numbers(one, who) for one in found])
    return "me" if str(found) == str(who.id) else str(found)


async def test_what_is_read_of_a_request_is_shown_once_it_is_accepted(api: Api, broadcasts: Broadcasts) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    sent = await write(api, bob, ann, "Hello")
    broadcasts.seen.clear()
    await api.call("PUT", f"/api/conversations/{bob.id}/read", 204, who=ann, json={"up_to": sent["id"]})
    assert [seen[:2] for seen in broadcasts.seen] == [(f"private_chat:{ann.id}", "read")]
    [asked] = await conversations(api, ann, request="open")
    assert asked["unread_count"] == 0

    async def is_read() -> bool:
        [one] = (await api.call("GET", "/api/messages", 200, who=bob))["data"]
        return one["read_at"] is not None

    assert not await is_read()
    await decide(api, ann, bob, "declined")
    assert not await is_read()
    broadcasts.seen.clear()
    await decide(api, ann, bob, "accepted")
    assert await is_read()
    told = {"by": str(ann.id), "with": str(bob.id), "up_to": sent["id"]}
    assert broadcasts.seen[1:] == [(f"private_chat:{bob.id}", "read", told)]
    await decide(api, ann, bob, "accepted")
    assert [seen[1] for seen in broadcasts.seen] == ["request", "read", "request"]


@pytest.mark.parametrize("how", ["an answer", "a message about a car", "an answer to who was declined"])
async def test_what_was_read_in_secret_is_told_when_a_message_accepts(
    api: Api, rows: Rows, broadcasts: Broadcasts, how: str
) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    sent = [await write(api, bob, ann, text) for text in ("Hello", "Hello?")]
    await api.call("PUT", f"/api/conversations/{bob.id}/read", 204, who=ann, json={"up_to": sent[1]["id"]})
    if how == "an answer to who was declined":
        await decide(api, ann, bob, "declined")
    broadcasts.seen.clear()
    if how == "a message about a car":
        accepting = await write(api, bob, ann, "Is it there?", listing_id=await rows.listing(ann.id))
    else:
        accepting = await write(api, ann, bob, "Hello")
    told = {"by": str(ann.id), "with": str(bob.id), "up_to": sent[1]["id"]}
    assert [seen for seen in broadcasts.seen if seen[1] != "send"] == [(f"private_chat:{bob.id}", "read", told)]
    # It comes after the message that tells why.
    assert [seen for seen in broadcasts.seen if seen[1] == "send"][-1][2] == accepting
    assert broadcasts.seen[-1][1] == "read"
    shown = (await api.call("GET", "/api/messages", 200, who=bob))["data"]
    assert [one["read_at"] is not None for one in shown] == [True, True, False]
    broadcasts.seen.clear()
    await write(api, ann, bob, "Once more")
    assert [seen[1] for seen in broadcasts.seen] == ["send", "send"]


@pytest.mark.parametrize("how", ["accepted", "answered"])
async def test_what_the_declined_read_meanwhile_is_shown_once_they_are_accepted_again(
    api: Api, broadcasts: Broadcasts, how: str
) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await write(api, bob, ann, "Hello")
    sent = await write(api, ann, bob, "Hello")
    await decide(api, ann, bob, "declined")
    broadcasts.seen.clear()
    await api.call("PUT", f"/api/conversations/{ann.id}/read", 204, who=bob, json={"up_to": sent["id"]})
    assert [seen[0] for seen in broadcasts.seen] == [f"private_chat:{bob.id}"]
    if how == "accepted":
        await decide(api, ann, bob, "accepted")
    else:
        await write(api, ann, bob, "Hello again")
    told = {"by": str(bob.id), "with": str(ann.id), "up_to": sent["id"]}
    assert broadcasts.seen[-1] == (f"private_chat:{ann.id}", "read", told)
    [one] = [one for one in (await api.call("GET", "/api/messages", 200, who=ann))["data"] if one["id"] == sent["id"]]
    assert one["read_at"] is not None


@pytest.mark.parametrize("accepts", ["by an answer", "by a press"])
async def test_nothing_read_is_shown_while_one_of_two_who_declined_each_other_still_does(
    api: Api, broadcasts: Broadcasts, accepts: str
) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    sent = await write(api, bob, ann, "Hello")
    await write(api, ann, bob, "Hello")
    for one, other in ((ann, bob), (bob, ann)):
        await decide(api, one, other, "declined")
    await api.call("PUT", f"/api/conversations/{bob.id}/read", 204, who=ann, json={"up_to": sent["id"]})
    broadcasts.seen.clear()
    if accepts == "by an answer":
        await write(api, ann, bob, "Hello again")
    else:
        await decide(api, ann, bob, "accepted")
    assert "read" not in [seen[1] for seen in broadcasts.seen]
    first = (await api.call("GET", "/api/messages", 200, who=bob))["data"][0]
    assert (first["id"], first["read_at"]) == (sent["id"], None)
    await decide(api, bob, ann, "accepted")
    told = {"by": str(ann.id), "with": str(bob.id), "up_to": sent["id"]}
    assert broadcasts.seen[-1] == (f"private_chat:{bob.id}", "read", told)


@pytest.mark.parametrize("body", [{}, {"state": "open"}, {"state": None}, {"state": 1}, {"state": "accepted", "x": 1}])
async def test_a_wrong_decision_is_refused(api: Api, body: dict[str, Any]) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await write(api, bob, ann, "Hello")
    await api.call("PUT", f"/api/conversations/{bob.id}/request", 422, who=ann, json=body)
    assert len(await conversations(api, ann, request="open")) == 1


async def test_nobody_decides_about_somebody_who_never_wrote_to_them(api: Api) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await write(api, bob, ann, "Hello")
    for who, other_id in ((bob, ann.id), (ann, ann.id), (ann, 99)):
        path = f"/api/conversations/{other_id}/request"
        await api.call("PUT", path, 404, who=who, json={"state": "accepted"})
    problem = await api.call("GET", "/api/conversations?request=accepted", 422, who=ann)
    assert list(problem["errors"]) == ["request"]
    both = await api.call("GET", "/api/conversations?request=open&user_ids=1", 422, who=ann)
    assert list(both["errors"]) == ["user_ids"]


async def test_people_can_take_messages_only_about_their_listings(api: Api, rows: Rows) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    assert (await api.call("GET", "/api/me", 200, who=ann))["takes_requests"] is True
    assert (await api.call("PATCH", "/api/me", 200, who=ann, json={"takes_requests": False}))["takes_requests"] is False
    body = {"to": ann.id, "message": "Hello"}
    problem = await api.call("POST", "/api/messages", 403, who=bob, json=body)
    assert problem["type"] == "/problems/only-about-listings"
    await write(api, bob, ann, "Is it there?", listing_id=await rows.listing(ann.id))
    await write(api, bob, ann, "Hello?")
    # Another change leaves it as it is.
    assert (await api.call("PATCH", "/api/me", 200, who=ann, json={"name": "Anne"}))["takes_requests"] is False
    wrongs: tuple[Any, ...] = ("no", 2, None, [], 0, 1, 0.0, 1.0, "true")
    for wrong in wrongs:
        problem = await api.call("PATCH", "/api/me", 422, who=ann, json={"takes_requests": wrong})
        assert list(problem["errors"]) == ["takes_requests"]


async def test_pages_of_requests_are_latest_first(api: Api) -> None:
    ann = await api.register("Ann")
    strangers = [await api.register() for _ in range(5)]
    for one in strangers:
        await write(api, one, ann, "Hello")
    await decide(api, ann, strangers[1], "declined")
    found = await api.every_page("/api/conversations?request=open", who=ann)
    assert [one["user"]["id"] for one in found] == [strangers[n].id for n in (4, 3, 2, 0)]
    by_user = await api.every_page("/api/conversations?request=open&sort=user", who=ann)
    assert [one["user"]["id"] for one in by_user] == [strangers[n].id for n in (0, 2, 3, 4)]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_by_user_are_full_whatever_is_between_their_people(api: Api, limit: int) -> None:
    ann = await api.register("Ann")
    people = [await api.register() for _ in range(9)]
    for one in people:
        await write(api, one, ann, "Hello")
    of_state = {"open": people[0::3], "declined": people[1::3], "": people[2::3]}
    for one in of_state["declined"]:
        await decide(api, ann, one, "declined")
    for one in of_state[""]:
        await decide(api, ann, one, "accepted")
    for state, expected in of_state.items():
        found: list[int] = []
        cursor = None
        while True:
            query = {"sort": "user", "limit": limit} | ({"request": state} if state else {})
            query |= {} if cursor is None else {"cursor": cursor}
            page = await api.call("GET", "/api/conversations", 200, who=ann, params=query)
            found += [one["user"]["id"] for one in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
            assert len(page["data"]) == limit
        assert found == [one.id for one in expected]


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_decision_and_a_message_at_the_same_time_come_one_after_the_other(
    api: Api, rows: Rows, hold: Hold, broadcasts: Broadcasts, is_first: bool
) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await write(api, bob, ann, "Hello")
    # After an answer, one statement stores what Bob writes, so it waits for one turn.
    await write(api, ann, bob, "Hello")
    await write(api, bob, ann, "How are you?")
    broadcasts.seen.clear()
    async with hold(INSERTS) as held:
        acts = [lambda: write(api, bob, ann, "And now?"), lambda: decide(api, ann, bob, "declined")]
        tasks = []
        for act in acts if is_first else reversed(acts):
            tasks.append(asyncio.create_task(act()))
            await held.until_waiting(len(tasks), tasks[-1])
    await asyncio.gather(*tasks)
    assert await rows.fetch("SELECT is_declined FROM messages ORDER BY id DESC LIMIT 1") == [(not is_first,)]
    told = {seen[0] for seen in broadcasts.seen if seen[1] == "send"}
    assert told == {f"private_chat:{who.id}" for who in ((ann, bob) if is_first else (bob,))}
