"""A block, a ban, a warning or leaving beside a message on its way: once it is answered, no more messages are stored.

A second connection holds the lock that all inserts of messages take, and so decides who comes first.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.domain.users import Role
from tests.api.conftest import PASSWORD, Api, Broadcasts, Person
from tests.api.locks import Hold
from tests.api.rows import Rows

INSERTS = "SELECT pg_advisory_xact_lock(7239870111)"
"""The lock of the trigger `messages_commit_in_order`."""
STORED = "SELECT count(*) - 2 FROM messages"
"""The two of the fixture do not count."""


@pytest.fixture
async def people(api: Api) -> tuple[Person, Person, Person]:
    """An admin, and two people who know each other."""
    admin, ann, bob = await api.register("Ada", Role.ADMIN), await api.register("Ann"), await api.register("Bob")
    await api.call("POST", "/api/messages", 201, who=ann, json={"to": bob.id, "message": "Hello"})
    await api.call("POST", "/api/messages", 201, who=bob, json={"to": ann.id, "message": "Hello"})
    return admin, ann, bob


async def end(api: Api, how: str, people: tuple[Person, Person, Person]) -> None:
    """Do what ends Bob's messages to Ann."""
    admin, ann, bob = people
    leave = {"current_password": PASSWORD}
    match how:
        case "Ann blocks Bob":
            await api.call("PUT", f"/api/users/{bob.id}/block", 200, who=ann)
        case "Ann leaves":
            await api.call("DELETE", "/api/me", 204, who=ann, json=leave)
        case "Bob is banned":
            await api.call("PUT", f"/api/users/{bob.id}/ban", 200, who=admin, json={"reason": "spam"})
        case "Bob is warned":
            await api.call("POST", f"/api/users/{bob.id}/warnings", 201, who=admin, json={"reason": "spam"})
        case "Bob leaves":
            await api.call("DELETE", "/api/me", 204, who=bob, json=leave)


def send(api: Api, people: tuple[Person, Person, Person], **more: Any) -> asyncio.Task[Any]:
    _, ann, bob = people
    body = {"to": ann.id, "message": "Hello", **more}
    return asyncio.create_task(api.client.post("/api/messages", json=body, headers=bob.headers))


ENDS = pytest.mark.parametrize(
    ("how", "status"),
    [
        ("Ann blocks Bob", 403),
        ("Ann leaves", 422),
        ("Bob is banned", 403),
        ("Bob is warned", 403),
        ("Bob leaves", 401),
    ],
)


@ENDS
async def test_what_comes_after_a_message_on_its_way_is_answered_after_it_is_stored(
    api: Api, rows: Rows, hold: Hold, people: tuple[Person, Person, Person], how: str, status: int
) -> None:
    async with hold(INSERTS) as held:
        sending = send(api, people)
        await held.until_waiting(1, sending)
        ending = asyncio.create_task(end(api, how, people))
        await held.until_waiting(2, ending)
        assert not ending.done()
    await ending
    assert await rows.fetch(STORED) == [(1,)]
    assert (await sending).status == 201


@ENDS
async def test_a_message_that_comes_after_it_is_refused_although_it_was_sent_before_the_answer(
    api: Api, rows: Rows, hold: Hold, people: tuple[Person, Person, Person], how: str, status: int
) -> None:
    async with hold(INSERTS) as held:
        ending = asyncio.create_task(end(api, how, people))
        await held.until_waiting(1, ending)
        assert not ending.done()
        sending = send(api, people)
        await held.until_waiting(2, sending)
        assert not sending.done()
    await ending
    assert (await sending).status == status
    assert await rows.fetch(STORED) == [(0,)]


async def test_who_is_blocked_cannot_show_an_earlier_message_once_more(
    api: Api, broadcasts: Broadcasts, people: tuple[Person, Person, Person]
) -> None:
    _, ann, bob = people
    body = {"to": ann.id, "message": "Hello", "client_ref": "a"}
    first = await api.call("POST", "/api/messages", 201, who=bob, json=body)
    await end(api, "Ann blocks Bob", people)
    broadcasts.seen.clear()
    assert await api.call("POST", "/api/messages", 201, who=bob, json=body) == first
    assert broadcasts.seen == [(f"private_chat:{bob.id}", "send", first)]


@ENDS
async def test_a_first_message_is_stored_before_it_or_refused(
    api: Api, rows: Rows, hold: Hold, how: str, status: int
) -> None:
    strangers = await api.register("Ada", Role.ADMIN), await api.register("Ann"), await api.register("Bob")
    async with hold(INSERTS) as held:
        sending = send(api, strangers)
        await held.until_waiting(1, sending)
        ending = asyncio.create_task(end(api, how, strangers))
        await held.until_waiting(2, ending)
    await ending
    # A first message may take a second turn, to look up more.
    stored = await rows.fetch("SELECT FROM messages")
    assert (await sending).status == (201 if stored else status)
    assert await rows.fetch("SELECT FROM messages") == stored
