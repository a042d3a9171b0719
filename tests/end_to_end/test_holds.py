"""The same text to many at once, through two gateways and the API: never more get it than the limit says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.settings import Settings
from tests.end_to_end.conftest import Daveslist, settings_on
from tests.support.client import Person, Socket
from tests.support.database import add_users, query, stored_messages
from tests.support.secret import JWT_SECRET
from tests.support.servers import Servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 3
OFFER = "Hello, I sell gold watches far below their price. Write to me, and I tell you more about this offer."


@pytest.fixture(scope="module")
def deployment(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with settings_on(servers, tmp_path_factory.mktemp("data")) as settings:
        yield replace(settings, rate_limits=True, similar_messages_people=LIMIT, similar_questions_people=LIMIT)


async def test_haste_delivers_the_same_text_to_no_more_people_and_the_rest_once_it_is_let_go(
    daveslist: Daveslist, deployment: Settings
) -> None:
    ids = add_users(deployment.database_url, 32)
    query(deployment.database_url, "UPDATE users SET role = 'moderator' WHERE id = %s", ids[1])
    tokens, rest = Tokens((JWT_SECRET,), 3600), daveslist.rest
    sender, moderator, *people = [
        Person(one, "", "", tokens.issue(one, Role.MODERATOR if one == ids[1] else Role.USER, None), "") for one in ids
    ]
    async with AsyncExitStack() as stack:

        async def joined(who: Person, node: int) -> Socket:
            socket = await stack.enter_async_context(
                await Socket.connect(daveslist.gateways[node].socket_url, who.token)
            )
            assert (await socket.join(who.topic, {"after_id": 0}))["status"] == "ok"
            return socket

        senders = [await joined(sender, node) for node in (0, 1)]
        listeners = {one.id: await joined(one, at % 2) for at, one in enumerate(people[-6:])}

        async def send(at: int, to: Person) -> int | None:
            """The id of a message that is held."""
            body = {"to": str(to.id), "message": OFFER}
            if at % 3 == 2:
                answer = await rest.call("POST", "/api/messages", 201, who=sender, body=body)
            else:
                reply = await senders[at % 3].push(sender.topic, "send", body)
                assert reply["status"] == "ok", reply
                answer = reply["response"]
            return int(answer["id"]) if answer.get("held") else None

        held = dict(zip(people, await asyncio.gather(*map(send, range(len(people)), people)), strict=True))
        assert list(held.values()).count(None) == LIMIT
        # Something later tells that what came before has arrived.
        for who, other in zip(people[-6:], people, strict=False):
            await rest.call("POST", "/api/messages", 201, who=other, body={"to": who.id, "message": f"To {who.id}"})
            got = [(await listeners[who.id].event("send"))["message"] for _ in range(1 if held[who] else 2)]
            assert got == [OFFER, f"To {who.id}"][-len(got) :]
        [hold] = (await rest.call("GET", "/api/holds", 200, who=moderator))["data"]
        assert hold["messages"] == len(people) - LIMIT
        decision = {"decision": "let_go"}
        await rest.call("PUT", f"/api/holds/{hold['id']}/decision", 200, who=moderator, body=decision)
        for who in people[-6:]:
            if held[who]:
                delivered = await listeners[who.id].event("send")
                assert (delivered["message"], delivered["was_id"]) == (OFFER, held[who])
                for socket in senders:
                    seen = await socket.take(_delivers(held[who]))
                    assert seen[4] == delivered
        # Catching up has each once, in the order of ids.
        for who in people[-6:]:
            async with await Socket.connect(daveslist.gateways[0].socket_url, who.token) as socket:
                reply = await socket.join(who.topic, {"after_id": 0})
            messages = reply["response"]["messages"]
            assert sorted(one["message"] for one in messages) == [OFFER, f"To {who.id}"]
            assert [one["id"] for one in messages] == sorted(one["id"] for one in messages)
    assert len(stored_messages(deployment.database_url, [sender.id])) == len(people)


def _delivers(held_id: int | None) -> Callable[[Any], bool]:
    return lambda frame: frame[3] == "send" and bool(frame[4].get("was_id") == held_id)
