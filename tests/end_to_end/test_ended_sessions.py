"""The sockets of a session close with 1001 when the session ends, however it ends, on every node; the others stay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pyotp
import pytest

from shared.settings import Settings
from tests.end_to_end.conftest import Daveslist
from tests.support.client import PASSWORD, Person, Rest, Socket
from tests.support.written_mails import token_in_mail

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

NEW = "another good battery"


@dataclass
class World:
    rest: Rest
    settings: Settings
    own: Person
    """The session that acts."""
    other: Person
    """A later log-in of the same person."""


async def log_in(rest: Rest, person: Person) -> Person:
    body = {"email": person.email, "password": PASSWORD}
    answer = await rest.call("POST", "/api/login", 200, body=body)
    return Person(person.id, person.name, person.email, answer["access_token"], answer["refresh_token"])


async def reset_password(world: World) -> None:
    email = world.own.email
    await world.rest.call("POST", "/api/password/forgotten", 202, body={"email": email})
    token = await token_in_mail(world.settings, email, "/password/reset")
    await world.rest.call("POST", "/api/password/reset", 204, body={"token": token, "password": NEW})


async def change_password(world: World) -> None:
    body = {"password": NEW, "current_password": PASSWORD}
    await world.rest.call("PATCH", "/api/me", 200, who=world.own, body=body)


async def end_the_other(world: World) -> None:
    page = await world.rest.call("GET", "/api/me/sessions", 200, who=world.own)
    [session] = [one["id"] for one in page["data"] if not one["current"]]
    await world.rest.call("DELETE", f"/api/me/sessions/{session}", 204, who=world.own)


async def end_all_others(world: World) -> None:
    await world.rest.call("DELETE", "/api/me/sessions", 204, who=world.own)


async def turn_second_step_on(world: World) -> None:
    body = {"current_password": PASSWORD}
    begun = await world.rest.call("POST", "/api/me/second-factor", 201, who=world.own, body=body)
    code = pyotp.TOTP(begun["secret"]).at(int(time.time()))
    await world.rest.call("PUT", "/api/me/second-factor", 200, who=world.own, body={"code": code})


async def log_out(world: World) -> None:
    await world.rest.call("POST", "/api/logout", 204, who=world.other)


async def leave(world: World) -> None:
    await world.rest.call("DELETE", "/api/me", 204, who=world.own, body={"current_password": PASSWORD})


async def reuse_refresh_token(world: World) -> None:
    token = world.other.refresh_token
    for _ in range(2):
        new = await world.rest.call("POST", "/api/token/refresh", 200, body={"refresh_token": token})
        token = new["refresh_token"]
    await world.rest.call("POST", "/api/token/refresh", 401, body={"refresh_token": world.other.refresh_token})


@pytest.mark.parametrize(
    ("act", "own_ends"),
    [
        (reset_password, True),
        (leave, True),
        (change_password, False),
        (end_the_other, False),
        (end_all_others, False),
        (turn_second_step_on, False),
        (log_out, False),
        (reuse_refresh_token, False),
    ],
)
async def test_the_sockets_of_a_session_that_ends_close_with_1001_on_every_node(
    daveslist: Daveslist, deployment: Settings, act: Callable[[World], Awaitable[None]], own_ends: bool
) -> None:
    rest = daveslist.rest
    own = await rest.register("Ann")
    world = World(rest, deployment, own, await log_in(rest, own))
    bystander = await rest.register("Bob")
    async with AsyncExitStack() as stack:

        async def open_on_each_node(person: Person) -> list[Socket]:
            sockets = []
            for node in daveslist.gateways:
                socket = await stack.enter_async_context(await Socket.connect(node.socket_url, person.token))
                assert (await socket.join(person.topic))["status"] == "ok"
                sockets.append(socket)
            return sockets

        of_own, of_other = await open_on_each_node(own), await open_on_each_node(world.other)
        of_bystander = await open_on_each_node(bystander)
        await act(world)
        ending, staying = (of_own + of_other, []) if own_ends else (of_other, of_own)
        assert await asyncio.gather(*(socket.closed() for socket in ending)) == [1001] * len(ending)
        for socket in staying:
            assert (await socket.push(own.topic, "send", {"to": bystander.id, "message": "still here"}))[
                "status"
            ] == "ok"
        for socket in of_bystander:
            assert (await socket.push(bystander.topic, "typing", {"to": own.id}))["status"] in ("ok", "error")
            assert socket.close_code is None
