"""Sanctions begin and end on every node; those that pass by themselves are told like those that are ended by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.events.control import CONTROL, SELLER_CHANGED
from shared.events.topics import MODERATION
from shared.pubsub import broker_for
from shared.settings import Settings
from tests.api.conftest import Broadcasts
from tests.end_to_end.bad_clients.gateway import text
from tests.end_to_end.conftest import Daveslist
from tests.gateway.transports.raw_socket import CLOSE, RawSocket
from tests.support.client import Person, Socket
from tests.support.database import add_users, query
from tests.support.secret import JWT_SECRET
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")

NODES = (0, 1)
WHY = "Writes the same to everybody."
HASTE = 6
"""How many more sockets of the person open on each node while the sanction is given."""
SANCTIONS = {
    "suspension": {"reason": WHY, "days": 1},
    "ban": {"reason": WHY, "until": "2999-01-01T00:00:00Z"},
}


class Scene:
    """A stranger with a car, a buyer, a moderator and an admin; and the sockets that they open."""

    def __init__(self, daveslist: Daveslist, settings: Settings, stack: AsyncExitStack) -> None:
        self._daveslist = daveslist
        self.settings = settings
        self._stack = stack
        self.rest = daveslist.rest
        ids, tokens = add_users(settings.database_url, 4), Tokens((JWT_SECRET,), 3600)
        roles = (Role.USER, Role.USER, Role.MODERATOR, Role.ADMIN)
        for user_id, role in zip(ids, roles, strict=True):
            query(settings.database_url, "UPDATE users SET role = %s WHERE id = %s", role.value, user_id)
        self.stranger, self.buyer, self.moderator, self.admin = [
            Person(user_id, "Somebody", "", tokens.issue(user_id, role, None), "")
            for user_id, role in zip(ids, roles, strict=True)
        ]
        self.car = 0

    async def begin(self) -> None:
        body = {"name": f"Saloons {self.stranger.id}", "visibility": "public"}
        category = await self.rest.call("POST", "/api/categories", 201, who=self.moderator, body=body)
        car = {"title": "A car", "content": "It drives.", "category_id": category["id"], "visibility": "public"}
        self.car = (await self.rest.call("POST", "/api/listings", 201, who=self.stranger, body=car))["id"]

    @property
    def car_topic(self) -> str:
        return f"listing:{self.car}"

    async def connect(self, who: Person, node: int) -> Socket:
        url = self._daveslist.gateways[node].socket_url
        return await self._stack.enter_async_context(await Socket.connect(url, who.token))

    async def everywhere(self, who: Person, *topics: str) -> list[Socket]:
        """A socket on each node that has joined these topics."""
        sockets = [await self.connect(who, node) for node in NODES]
        for socket in sockets:
            for topic in topics:
                assert (await socket.join(topic))["status"] == "ok"
        return sockets

    async def is_shut_out(self) -> None:
        """Assert that the stranger can open no socket."""
        for node in NODES:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await self.connect(self.stranger, node)
            assert refused.value.status == 403

    async def is_welcome(self) -> None:
        """Assert that the stranger is let in at once, can write, and that others see the car."""
        for socket in await self.everywhere(self.stranger, self.stranger.topic, self.car_topic):
            body = {"to": self.stranger.id, "message": "Here I am again."}
            assert (await socket.push(self.stranger.topic, "send", body))["status"] == "ok"
        await self.everywhere(self.buyer, self.car_topic)
        await self.rest.call("GET", f"/api/listings/{self.car}", 200)

    async def comes_in_haste(self, node: int) -> int | None:
        """Connect and join as the stranger. Returns the code with which the socket is closed, None if it is refused.

        The socket is a raw one: where a close frame comes right after the answer, aiohttp's client may lose its code.
        """
        path = f"/socket/websocket?vsn=2.0.0&token={self.stranger.token}"
        socket = await RawSocket.connect(self._daveslist.gateways[node].port, path)
        try:
            if not socket.head.startswith(b"HTTP/1.1 101"):
                assert socket.head.startswith(b"HTTP/1.1 403"), socket.head
                return None
            socket.send(text("j1", "join", self.stranger.topic, "phx_join", {}))
            while True:
                opcode, payload = await socket.receive()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2], "big")
        finally:
            await socket.close()

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[Broadcasts]:
        """What the servers tell each other."""
        heard, broker = Broadcasts(self.settings), broker_for(self.settings, "test")
        await broker.start(heard)
        try:
            await broker.subscribe(CONTROL)
            yield heard
        finally:
            await broker.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def scene(daveslist: Daveslist, deployment: Settings) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        scene = Scene(daveslist, deployment, stack)
        await scene.begin()
        yield scene


async def loses(socket: Socket, topic: str) -> None:
    """Wait until the viewer is told that the car is gone, and the channel is closed."""
    await socket.event("listing_removed")
    await socket.take(lambda frame: frame[2:4] == [topic, "phx_close"])


@pytest.mark.parametrize("kind", SANCTIONS)
async def test_whoever_is_shut_out_loses_every_socket_and_is_let_in_again_once_it_has_passed_by_itself(
    scene: Scene, kind: str
) -> None:
    rest, stranger = scene.rest, scene.stranger
    own = await scene.everywhere(stranger, stranger.topic, scene.car_topic)
    buyers = await scene.everywhere(scene.buyer, scene.car_topic, scene.buyer.topic)
    moderators = await scene.everywhere(scene.moderator, MODERATION)
    haste = [asyncio.create_task(scene.comes_in_haste(node)) for node in NODES * HASTE]
    await rest.call("PUT", f"/api/users/{stranger.id}/{kind}", 200, who=scene.admin, body=SANCTIONS[kind])
    for socket in own:
        sanction = await socket.event("sanction")
        assert (sanction["kind"], sanction["reason"]) == (kind, WHY)
        assert await socket.closed() == 1001
    assert set(await asyncio.gather(*haste)) <= {None, 1001}
    await scene.is_shut_out()
    for socket in moderators:
        assert await socket.event("sanctioned") == {"id": sanction["id"], "kind": kind, "person_id": stranger.id}
    for socket in buyers:
        await loses(socket, scene.car_topic)
        assert (await socket.join(scene.car_topic, join_ref="again"))["status"] == "error"

    async with scene.heard() as heard:
        ends = "UPDATE users SET banned_until = now() - interval '1 second' WHERE id = %s"
        query(scene.settings.database_url, ends, stranger.id)
        told = (CONTROL, SELLER_CHANGED, {"user_id": stranger.id})
        async with asyncio.timeout(PATIENCE_SECONDS):
            while told not in heard.seen:
                heard.arrived.clear()
                await heard.arrived.wait()
        await scene.is_welcome()
        # Once is enough.
        assert heard.seen.count(told) == 1
    for socket in buyers:
        assert (await socket.join(scene.car_topic, join_ref="then"))["status"] == "ok"
    history = await rest.call("GET", f"/api/users/{stranger.id}/sanctions", 200, who=scene.moderator)
    assert {one["kind"] for one in history["data"]} == {kind}
    assert all(one["ended_at"] for one in history["data"])


@pytest.mark.parametrize("how", ["by itself", "by hand"])
async def test_viewers_on_every_node_are_shown_a_listing_whose_hiding_has_ended(scene: Scene, how: str) -> None:
    rest, path = scene.rest, f"/api/listings/{scene.car}"
    sellers = await scene.everywhere(scene.stranger, scene.car_topic, scene.stranger.topic)
    moderators = await scene.everywhere(scene.moderator, scene.car_topic)
    buyers = await scene.everywhere(scene.buyer, scene.car_topic)
    body = {"reason": WHY, "until": "2999-01-01T00:00:00Z"}
    await rest.call("PUT", f"{path}/hidden", 200, who=scene.moderator, body=body)
    for socket in buyers:
        await loses(socket, scene.car_topic)
    for socket in sellers:
        sanction = await socket.event("sanction")
        assert (sanction["kind"], sanction["listing_id"], sanction["reason"]) == ("hiding", scene.car, WHY)
    for socket in sellers + moderators:
        # Nobody else may see it, so they are told to read it again.
        assert await socket.event("listing_updated") == {"id": scene.car}

    if how == "by itself":
        ends = "UPDATE listings SET hidden_until = now() - interval '1 second' WHERE id = %s"
        query(scene.settings.database_url, ends, scene.car)
    else:
        await rest.call("DELETE", f"{path}/hidden", 204, who=scene.moderator)
    shown = [await socket.event("listing_updated") for socket in sellers + moderators]
    for_anyone = await rest.call("GET", path, 200)
    assert shown == [for_anyone] * len(shown)
    for socket in buyers:
        assert (await socket.join(scene.car_topic, join_ref="then"))["status"] == "ok"
    # Something later tells that nothing more came of it.
    await rest.call("POST", f"{path}/replies", 201, who=scene.stranger, body={"text": "Here it is again."})
    for socket in sellers + moderators + buyers:
        assert (await socket.event("reply_created"))["text"] == "Here it is again."
        assert [frame for frame in socket.frames if frame[3] in ("listing_updated", "listing_removed")] == []


async def test_objections_and_decisions_come_to_moderators_on_every_node_and_what_is_lifted_ends_at_once(
    scene: Scene,
) -> None:
    rest, stranger = scene.rest, scene.stranger
    staff = [*await scene.everywhere(scene.moderator, MODERATION), *await scene.everywhere(scene.admin, MODERATION)]
    own = await scene.everywhere(stranger, stranger.topic)

    async def told(event: str, kind: str, sanction_id: int) -> None:
        payload = {"id": sanction_id, "kind": kind, "person_id": stranger.id}
        assert [await socket.event(event) for socket in staff] == [payload] * len(staff)

    async def objects(token: str) -> None:
        made = await rest.call("POST", "/api/objections", 201, body={"token": token, "text": "It was my brother."})
        await told("objected", made["kind"], made["id"])
        [waits] = (await rest.call("GET", "/api/objections", 200, who=scene.admin))["data"]
        assert (waits["id"], waits["objection"]["text"]) == (made["id"], "It was my brother.")

    async def decide(sanction_id: int, outcome: str) -> Any:
        body = {"outcome": outcome, "answer": "We have looked at it."}
        path = f"/api/objections/{sanction_id}/decision"
        decided = await rest.call("PUT", path, 200, who=scene.admin, body=body)
        await told("decided", decided["kind"], sanction_id)

    path, body = f"/api/users/{stranger.id}/warnings", {"reason": WHY}
    warning = await rest.call("POST", path, 201, who=scene.moderator, body=body)
    await told("sanctioned", "warning", warning["id"])
    message = {"to": stranger.id, "message": "A message"}
    for socket in own:
        assert (await socket.event("sanction"))["id"] == warning["id"]
        # Whether its node knows or not: Postgres refuses.
        assert (await socket.push(stranger.topic, "send", message))["response"] == {"reason": "unread warning"}
    [unread] = (await rest.call("GET", "/api/me/warnings", 200, who=stranger))["data"]
    await objects(unread["objection_token"])
    await decide(warning["id"], "lifted")
    for socket in own:
        # The person hears of it, and may write again.
        objection = await socket.event("objection")
        assert (objection["sanction_id"], objection["outcome"]) == (warning["id"], "lifted")
        # A node that does not know it yet asks.
        assert (await socket.push(stranger.topic, "send", message))["status"] == "ok"

    path = f"/api/users/{stranger.id}/suspension"
    suspension = await rest.call("PUT", path, 200, who=scene.moderator, body=SANCTIONS["suspension"])
    await told("sanctioned", "suspension", suspension["id"])
    assert [await socket.closed() for socket in own] == [1001] * len(own)
    await scene.is_shut_out()
    refused = await rest.call("GET", "/api/me", 403, who=stranger)
    await objects(refused["objection_token"])
    await decide(suspension["id"], "lifted")
    await scene.is_welcome()
