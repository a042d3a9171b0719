"""A block works both ways, for as long as it lasts, and also for somebody who leaves and comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.mail_links import MailLinks, new_link
from api.services import SERVICES
from shared.domain.mails import Purpose
from shared.events.control import BLOCKS_CHANGED, CONTROL
from tests.api.conftest import PASSWORD, Api, Broadcasts, Person, person
from tests.api.locks import Hold
from tests.api.rows import Rows
from tests.api.test_messages import write

pytestmark = pytest.mark.usefixtures("at_rest")


async def block(api: Api, who: Person, other: Person) -> None:
    await api.call("PUT", f"/api/users/{other.id}/block", 200, who=who)


async def acquainted(api: Api) -> tuple[Person, Person]:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await write(api, ann, bob, "Hello")
    await write(api, bob, ann, "Hello")
    return ann, bob


async def test_neither_side_replies_to_the_others_listings(api: Api, rows: Rows, broadcasts: Broadcasts) -> None:
    ann, bob = await acquainted(api)
    cars = {ann.id: await rows.listing(ann.id), bob.id: await rows.listing(bob.id)}
    await block(api, ann, bob)
    broadcasts.seen.clear()
    for who, other, slug in ((ann, bob, "blocking"), (bob, ann, "blocked")):
        path = f"/api/listings/{cars[other.id]}/replies"
        problem = await api.call("POST", path, 403, who=who, json={"text": "Hi"})
        assert problem["type"] == f"/problems/{slug}"
        # Their own, and those of others, are as before; so is what can be read.
        await api.call("POST", f"/api/listings/{cars[who.id]}/replies", 201, who=who, json={"text": "Hi"})
        await api.call("GET", f"/api/listings/{cars[other.id]}", 200, who=who)
    assert [seen[1] for seen in broadcasts.seen] == ["reply_created"] * 2
    await api.call("DELETE", f"/api/users/{bob.id}/block", 204, who=ann)
    await api.call("POST", f"/api/listings/{cars[ann.id]}/replies", 201, who=bob, json={"text": "Hi"})


@pytest.mark.parametrize("is_first", [True, False])
async def test_once_a_block_is_answered_no_reply_is_stored(api: Api, rows: Rows, hold: Hold, is_first: bool) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    car = await rows.listing(ann.id)
    acts: list[Any] = [
        lambda: api.client.post(f"/api/listings/{car}/replies", json={"text": "Hi"}, headers=bob.headers),
        lambda: api.client.put(f"/api/users/{bob.id}/block", headers=ann.headers),
    ]
    # A reply and a block both take Bob's row.
    async with hold(f"SELECT FROM users WHERE id = {bob.id} FOR UPDATE") as held:
        tasks: list[asyncio.Task[Any]] = []
        for act in acts if is_first else reversed(acts):
            tasks.append(asyncio.create_task(act()))
            await held.until_waiting(len(tasks), tasks[-1])
    answers = {answer.method: answer.status for answer in await asyncio.gather(*tasks)}
    stored = await rows.fetch("SELECT FROM replies")
    assert answers == {"PUT": 200, "POST": 201 if stored else 403}


@pytest.mark.parametrize("who_blocks", ["Ann", "Bob"])
async def test_neither_side_is_told_what_the_other_one_reads(api: Api, broadcasts: Broadcasts, who_blocks: str) -> None:
    ann, bob = await acquainted(api)
    sent = {who.id: await write(api, who, other, "Read this") for who, other in ((ann, bob), (bob, ann))}
    await (block(api, ann, bob) if who_blocks == "Ann" else block(api, bob, ann))
    broadcasts.seen.clear()
    for who, other in ((ann, bob), (bob, ann)):
        up_to = {"up_to": sent[other.id]["id"]}
        await api.call("PUT", f"/api/conversations/{other.id}/read", 204, who=who, json=up_to)
        [conversation] = (await api.call("GET", "/api/conversations", 200, who=who))["data"]
        assert conversation["unread_count"] == 0
    assert [seen[0] for seen in broadcasts.seen] == [f"private_chat:{ann.id}", f"private_chat:{bob.id}"]

    async def read_by_other(who: Person) -> list[bool]:
        found = (await api.call("GET", "/api/messages", 200, who=who))["data"]
        copy = (await api.call("GET", "/api/me/export", 200, who=who))["messages"]
        assert [one["read_at"] is None for one in found] == [one["read_at"] is None for one in copy]
        return [one["read_at"] is not None for one in found if one["from"] == str(who.id)]

    for who in (ann, bob):
        assert await read_by_other(who) == [False, False]
    blocker, other = (ann, bob) if who_blocks == "Ann" else (bob, ann)
    broadcasts.seen.clear()
    await api.call("DELETE", f"/api/users/{other.id}/block", 204, who=blocker)
    told = [
        (f"private_chat:{reader.id}", {"by": str(by.id), "with": str(reader.id), "up_to": sent[reader.id]["id"]})
        for by, reader in ((blocker, other), (other, blocker))
    ]
    assert [(topic, payload) for topic, event, payload in broadcasts.seen if event == "read"] == told
    for who in (ann, bob):
        assert await read_by_other(who) == [True, True]


async def come_back(api: Api, email: str) -> Person:
    body = {"email": email, "password": PASSWORD, "name": "Somebody new"}
    return person(await api.call("POST", "/api/register", 201, json=body))


async def leave(api: Api, who: Person) -> None:
    await api.call("DELETE", "/api/me", 204, who=who, json={"current_password": PASSWORD})


async def test_whoever_leaves_and_comes_back_with_the_same_address_is_still_blocked(api: Api, rows: Rows) -> None:
    ann, cat, bob = await api.register("Ann"), await api.register("Cat"), await api.register("Bob")
    for who in (ann, cat):
        await block(api, who, bob)
    for spelling in (bob.email.upper(), bob.email):
        await leave(api, bob)
        assert bob.email not in str(await rows.fetch("SELECT b::text FROM blocks b")).lower()
        other = await come_back(api, "somebody.else@example.com")
        await write(api, other, ann, "Hello")
        await leave(api, other)
        bob = await come_back(api, spelling)
        for who in (ann, cat):
            await api.call("POST", "/api/messages", 403, who=bob, json={"to": who.id, "message": "Me again"})
            [blocked] = (await api.call("GET", "/api/me/blocks", 200, who=who))["data"]
            assert blocked["id"] == bob.id
        assert await rows.fetch("SELECT FROM blocks WHERE address_hash IS NOT NULL") == []
    await api.call("DELETE", f"/api/users/{bob.id}/block", 204, who=ann)
    await leave(api, bob)
    bob = await come_back(api, bob.email)
    await write(api, bob, ann, "Thank you")
    await api.call("POST", "/api/messages", 403, who=bob, json={"to": cat.id, "message": "Me again"})


async def test_an_address_that_was_never_confirmed_blocks_nobody_who_has_it(api: Api, rows: Rows) -> None:
    ann, eve = await api.register("Ann"), await api.register("Eve")
    # Eve has registered with somebody else's address.
    await rows.execute("UPDATE users SET must_confirm = true WHERE id = %s", eve.id)
    await block(api, ann, eve)
    await leave(api, eve)
    await write(api, await come_back(api, eve.email), ann, "Hello")


async def test_a_block_comes_back_with_an_address_that_is_changed_to_the_blocked_one(api: Api, rows: Rows) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    await block(api, ann, bob)
    await leave(api, bob)
    again = await api.register("Bob again")
    await write(api, again, ann, "Hello")
    # Where none has to be confirmed, a new address counts at once.
    body = {"email": bob.email, "current_password": PASSWORD}
    await api.call("PATCH", "/api/me", 200, who=again, json=body)
    await api.call("POST", "/api/messages", 403, who=again, json={"to": ann.id, "message": "Hello"})


@pytest.mark.parametrize("how", ["registers", "changes the address", "confirms it", "chooses a new password"])
async def test_gateways_are_told_of_the_blocks_of_whoever_comes_back(
    api: Api, rows: Rows, broadcasts: Broadcasts, how: str
) -> None:
    ann, cat, bob = await api.register("Ann"), await api.register("Cat"), await api.register("Bob")
    for who in (ann, cat):
        await block(api, who, bob)
    await leave(api, bob)
    if how != "registers":
        again = await api.register("Bob again")
    broadcasts.seen.clear()
    match how:
        case "registers":
            await come_back(api, bob.email)
        case "changes the address":
            body = {"email": bob.email, "current_password": PASSWORD}
            await api.call("PATCH", "/api/me", 200, who=again, json=body)
        case _:
            purpose = Purpose.ADDRESS if how == "confirms it" else Purpose.PASSWORD_RESET
            link, links = new_link(3600.0), api.client.app[SERVICES].links
            assert await links.make(link.hash, again.id, purpose, seconds=3600.0, most=5, address=bob.email)
            if purpose is Purpose.PASSWORD_RESET:
                await rows.execute(
                    "UPDATE users SET email = %s, email_account = %s WHERE id = %s", bob.email, bob.email, again.id
                )
            token = MailLinks(api.settings).token(purpose, link.seed)
            path = "/api/address/confirm" if purpose is Purpose.ADDRESS else "/api/password/reset"
            body = {"token": token} if purpose is Purpose.ADDRESS else {"token": token, "password": PASSWORD + "!"}
            await api.call("POST", path, 204, json=body)
    told = [payload for topic, event, payload in broadcasts.seen if (topic, event) == (CONTROL, BLOCKS_CHANGED)]
    assert sorted(one["user_id"] for one in told) == [ann.id, cat.id]
