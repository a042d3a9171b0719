"""The secret that signs tokens is replaced in the guide's three steps, one process at a time: nobody notices."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import psycopg2
import pytest

from development.child import happens
from shared.settings import Settings
from tests.end_to_end.conftest import Daveslist, settings_on
from tests.gateway.transports.longpoll.client import LongPollClient
from tests.support.client import PASSWORD, Person, Rest, Socket
from tests.support.processes import Node, Processes
from tests.support.servers import Servers
from tests.support.waiting import PATIENCE_SECONDS

OLD, NEW = "the-old-secret-of-this-deployment-2025", "a-new-secret-for-that-deployment-from-26"


@dataclass
class Member:
    """Somebody with an open socket at one gateway, whose client connects again by itself, as clients do."""

    person: Person
    gateway: int
    socket: Socket
    last_id: int = 0
    heard: list[str] = field(default_factory=list)

    async def hears(self, text: str) -> None:
        while text not in self.heard:
            message = await self.socket.event("send")
            self.last_id = message["id"]
            self.heard.append(message["message"])


class Town:
    """A deployment whose processes are started again with other secrets, and the people in it."""

    def __init__(self, daveslist: Daveslist, http: aiohttp.ClientSession, listing_id: int) -> None:
        self.daveslist = daveslist
        self.gateways = list(daveslist.gateways)
        self.api = daveslist.api
        self._http = http
        self._listing = f"listing:{listing_id}"
        self._numbers = itertools.count(1)
        self.ann: Member
        self.bob: Member
        self.carl: Person
        self.polls: LongPollClient

    async def people_come(self) -> None:
        register = self.daveslist.rest.register
        self.ann = await self._member(await register("Ann"), 0)
        self.bob = await self._member(await register("Bob"), 1)
        self.carl = await register("Carl")
        self.polls = LongPollClient(self._http, [f"{node.url}/socket/longpoll" for node in self.gateways])
        await self._poll_anew()

    async def _member(self, person: Person, gateway: int) -> Member:
        member = Member(person, gateway, await self.connected(person, gateway, 0))
        await self._views(member)
        return member

    async def connected(self, person: Person, gateway: int, after_id: int) -> Socket:
        socket = await Socket.connect(self.gateways[gateway].socket_url, person.token)
        assert (await socket.join(person.topic, {"after_id": after_id}))["status"] == "ok"
        return socket

    async def _views(self, member: Member) -> None:
        assert (await member.socket.join(self._listing, join_ref="view"))["status"] == "ok"

    async def _poll_anew(self) -> None:
        self.polls.jwt = self.carl.token
        await self.polls.open()
        await self.polls.join(self.carl.topic)

    async def is_replaced(self, node: Node, secrets: tuple[str, ...]) -> None:
        """Stop a process, and start it again with the secrets. The clients of a gateway come back to it."""
        processes = self.daveslist.processes
        number = self.gateways.index(node) if node in self.gateways else None
        assert await node.stop() == 0
        processes.settings = replace(processes.settings, jwt_secrets=secrets)
        if number is None:
            self.api = await processes.again(node)
            return
        away, there = (self.ann, self.bob) if number == 0 else (self.bob, self.ann)
        missed = await self.sends(there, away.person)
        self.gateways[number] = await processes.again(node)
        await away.socket.closed()
        await away.socket.close()
        # The same token opens a socket again, and what was sent meanwhile is caught up.
        away.socket = await Socket.connect(self.gateways[number].socket_url, away.person.token)
        answer = await away.socket.join(away.person.topic, {"after_id": away.last_id})
        assert missed in [message["message"] for message in answer["response"]["messages"]]
        away.heard.append(missed)
        await self._views(away)

    async def sends(self, member: Member, to: Person) -> str:
        text = f"message {next(self._numbers)}"
        reply = await member.socket.push(member.person.topic, "send", {"to": str(to.id), "message": text})
        assert reply["status"] == "ok", reply
        return text

    async def all_goes_on(self) -> None:
        """People chat by socket and long poll over both gateways, see each other, and come anew."""
        ann, bob, rest = self.ann, self.bob, self.daveslist.rest
        await bob.hears(await self.sends(ann, bob.person))
        await ann.hears(await self.sends(bob, ann.person))
        for sender in (ann, bob):
            await self._carl_hears(await self.sends(sender, self.carl))
        body = {"to": str(ann.person.id), "message": f"by REST {next(self._numbers)}"}
        await rest.call("POST", "/api/messages", 201, who=self.carl, body=body)
        await ann.hears(body["message"])
        # Somebody new has a token of whatever secret the API signs with; both gateways know it.
        newcomer = await rest.register("Newcomer")
        for number in (0, 1):
            async with await self.connected(newcomer, number, 0) as socket:
                assert (await socket.join(self._listing, join_ref="view"))["status"] == "ok"
                present: dict[str, Any] = await socket.event("presence_state")
                while not {str(ann.person.id), str(bob.person.id)} <= set(present):
                    present |= (await socket.event("presence_diff"))["joins"]
        for person in (ann.person, bob.person, self.carl):
            await rest.call("GET", "/api/me", 200, who=person)
        for node in self.gateways:
            assert await self.forged_at(node) == 0

    async def forged_at(self, node: Node) -> float:
        """The number of messages of other processes that a gateway did not believe."""
        async with self._http.get(f"{node.url}/metrics") as response:
            [found] = re.findall(r"^gateway_forged_total (\S+)$", await response.text(), re.MULTILINE)
        return float(found)

    async def _carl_hears(self, text: str) -> None:
        """Carl's requests go to the gateways in turn, whichever holds his session."""
        while True:
            answer = await self.polls.poll()
            assert answer["status"] in (200, 204, 410), answer
            if answer["status"] == 410:
                # The gateway that held the session was replaced: the poll has begun a new session.
                self.polls.token = answer["token"]
                params = {"after_id": 0}
                assert await self.polls.post(["1", "1", self.carl.topic, "phx_join", params]) == 200
            elif any(text in message for message in answer["messages"]):
                return

    async def all_refresh(self) -> None:
        """Everybody exchanges the refresh token, as pages do once an hour."""

        async def refreshed(person: Person) -> Person:
            body = {"refresh_token": person.refresh_token}
            answer = await self.daveslist.rest.call("POST", "/api/token/refresh", 200, body=body)
            return replace(person, token=answer["access_token"], refresh_token=answer["refresh_token"])

        self.ann.person = await refreshed(self.ann.person)
        self.bob.person = await refreshed(self.bob.person)
        self.carl = await refreshed(self.carl)
        self.polls.jwt = self.carl.token

    async def leave(self) -> None:
        await self.ann.socket.close()
        await self.bob.socket.close()


@pytest.fixture
def settings(servers: Servers, tmp_path: Path) -> Iterator[Settings]:
    with settings_on(servers, tmp_path / "data") as settings:
        yield replace(settings, jwt_secrets=(OLD,), longpoll_window_seconds=1.0)


@pytest.fixture
async def town(settings: Settings, tmp_path: Path) -> AsyncIterator[Town]:
    processes = Processes(settings, tmp_path)
    try:
        api = await processes.api()
        gateways = await processes.gateway(), await processes.gateway()
        async with Rest(api.url) as rest, aiohttp.ClientSession() as http:
            admin = await rest.register("Olga")
            with closing(psycopg2.connect(settings.database_url)) as connection, connection:
                connection.cursor().execute("UPDATE users SET role = 'admin' WHERE id = %s", (admin.id,))
            category = await rest.call(
                "POST", "/api/categories", 201, who=admin, body={"name": "Vans", "visibility": "public"}
            )
            listing = {"title": "A van", "content": "It runs.", "category_id": category["id"], "visibility": "public"}
            listed = await rest.call("POST", "/api/listings", 201, who=admin, body=listing)
            town = Town(Daveslist(processes, api, gateways, rest), http, listed["id"])
            await town.people_come()
            yield town
            await town.leave()
    finally:
        await processes.stop()


def key_of(person: Person) -> str:
    return str(jwt.get_unverified_header(person.token)["kid"])


async def test_while_a_secret_is_replaced_nobody_is_logged_out_and_every_message_arrives(town: Town) -> None:
    rest, carl = town.daveslist.rest, town.carl
    await town.all_goes_on()
    for secrets in ((OLD, NEW), (NEW, OLD)):
        for number in range(3):
            await town.is_replaced((town.api, *town.gateways)[number], secrets)
            await town.all_goes_on()
        # Tokens from before the first step are still good.
        await rest.call("GET", "/api/me", 200, who=carl)
        await town.all_refresh()
    assert key_of(town.carl) != key_of(carl)

    # By the last step, everybody has refreshed within REFRESH_TOKEN_SECONDS.
    for number in range(3):
        await town.is_replaced((town.api, *town.gateways)[number], (NEW,))
        await town.all_goes_on()
    await town.all_refresh()
    await town.all_goes_on()

    # The old secret is worth nothing any more.
    await rest.call("GET", "/api/me", 401, who=carl)
    await rest.call("POST", "/api/token/refresh", 401, body={"refresh_token": carl.refresh_token})
    for node in town.gateways:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await Socket.connect(node.socket_url, carl.token)
        assert refused.value.status == 403
    body = {"email": carl.email, "password": PASSWORD}
    await rest.call("POST", "/api/login", 200, body=body)


async def test_processes_that_share_no_secret_do_not_believe_each_other(town: Town) -> None:
    """So the guide's steps are needed: a process that signs with a secret that others lack is not heard by them."""
    node = town.gateways[1]
    await town.bob.socket.close()
    await node.stop()
    processes = town.daveslist.processes
    processes.settings = replace(processes.settings, jwt_secrets=(NEW, OLD))
    town.gateways[1] = await processes.again(node)
    town.bob = Member(town.bob.person, 1, await town.connected(town.bob.person, 1, 0))
    await town.bob.hears(await town.sends(town.ann, town.bob.person))
    text = await town.sends(town.bob, town.ann.person)
    topic = town.ann.person.topic

    def was_dropped() -> bool:
        lines = town.gateways[0].output().splitlines()
        return any("forged message dropped" in line and topic in line for line in lines)

    assert await happens(was_dropped, PATIENCE_SECONDS)
    assert text not in [frame[4].get("message") for frame in town.ann.socket.frames]
