"""An API and two gateways in this process, on a real Postgres and Redis, and devices without sockets."""

from __future__ import annotations

import asyncio
import itertools
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api.app import create_app as create_api
from api.passwords import hash_now
from api.services import SERVICES
from gateway import app as gateway_app
from gateway.catch_up import CatchUp
from gateway.runtime.endpoint import Endpoint
from shared.access.actor import Actor
from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.events import topics
from shared.postgres import Database
from shared.pubsub import broker_for
from shared.pubsub.broker import Broker, Receiver
from shared.repositories.recent_texts import HoldLimits
from shared.settings import Settings
from tests.api.conftest import NEVER, PASSWORD, Person
from tests.api.rows import Rows
from tests.api.two_sides.screen import Screen
from tests.gateway.nodes import Client
from tests.protocol.client_frames import Received
from tests.support.waiting import until

MARK = "mark"
"""An event that only these tests broadcast: what was published before it has arrived before it."""
SOON = 30.0


class Ear:
    """Stands between a node and its broker. While it is deaf, what other nodes publish is lost."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._deaf_since: float | None = None

    def deafen(self) -> None:
        if self._deaf_since is None:
            self._deaf_since = asyncio.get_running_loop().time()

    def hear(self) -> None:
        """As when a link is back: from here on everything arrives, and the node learns how long it was away."""
        if self._deaf_since is not None:
            away, self._deaf_since = asyncio.get_running_loop().time() - self._deaf_since, None
            self._receiver.link_restored(away)

    def receive(self, topic: str, data: bytes) -> None:
        if self._deaf_since is None:
            self._receiver.receive(topic, data)

    def link_restored(self, away_seconds: float) -> None:
        self._receiver.link_restored(away_seconds)

    def messages_lost(self, seconds: float) -> None:
        self._receiver.messages_lost(seconds)


class Node:
    """A gateway."""

    endpoint: Endpoint
    ear: Ear
    catch_up: CatchUp

    @property
    def is_reading(self) -> bool:
        """Whether it reads a gap."""
        return self.catch_up._task is not None


class Marked(Client):
    """A connection of one person that knows what was published before which mark."""

    def __init__(self, node: Node, actor: Actor) -> None:
        super().__init__(node.endpoint, actor)
        self.node = node
        self.topic = topics.private_chat(actor.user_id)
        self.marks: set[tuple[int, int]] = set()

    def send(self, frame: Any) -> None:
        super().send(frame)
        for one in self.take():
            if one.event == MARK:
                self.marks.add((one.payload["number"], one.payload["of"]))
            else:
                self.hears(one)

    @abstractmethod
    def hears(self, frame: Received) -> None:
        """Called with every frame but marks."""


class Device(Marked):
    """A connection of one person, which shows what its topic says; it has joined once `join` returns."""

    def __init__(self, node: Node, actor: Actor, screen: Screen) -> None:
        super().__init__(node, actor)
        self.screen = screen
        self._answers: dict[str, Any] = {}
        self._numbers = itertools.count(1)
        self._join_ref = ""

    def hears(self, frame: Received) -> None:
        if frame.event == "phx_reply":
            self._answers[frame.ref] = frame.payload
        elif frame.event not in ("phx_close", "phx_error"):
            self.screen.happens(frame.event, frame.payload)

    async def push(self, event: str, payload: Any) -> Any:
        """Returns the answer."""
        ref = f"r{next(self._numbers)}"
        self.says(self._join_ref, ref, self.topic, event, payload)
        await until(lambda: ref in self._answers or self.gone, SOON)
        return self._answers.pop(ref, {"status": "closed", "response": {}})

    async def join(self, after_id: int) -> Any:
        """Join with this id, and return the answer. The device may have joined before."""
        self._join_ref = f"j{next(self._numbers)}"
        answer = await self.push("phx_join", {"after_id": after_id})
        assert answer["status"] == "ok", answer
        return answer["response"]

    def crash(self) -> None:
        if not self.gone:
            self.dropped()
        self.screen.lost()


class Town:
    """The servers, and the people that a history is about."""

    def __init__(self, settings: Settings, http: TestClient[Any, Any], nodes: list[Node], rows: Rows) -> None:
        self.http = http
        self.nodes = nodes
        self.rows = rows
        self._tokens = Tokens(settings.jwt_secrets, 3600)
        self._hash = hash_now(PASSWORD)
        self._numbers = itertools.count(1)

    async def people(self, count: int, role: Role = Role.USER) -> list[Person]:
        found = []
        for _ in range(count):
            email = f"person{next(self._numbers)}@example.com"
            [[user_id]] = await self.rows.fetch(
                "INSERT INTO users (name, email, password_hash, role) VALUES ('A name', %s, %s, %s) RETURNING id",
                email,
                self._hash,
                role.value,
            )
            found.append(Person(user_id, email, self._tokens.issue(user_id, role, None), ""))
        return found

    async def ask(self, who: Person, method: str, path: str, json: Any = None) -> tuple[int, Any]:
        """Returns the status and the body of the API's answer."""
        async with self.http.request(method, path, json=json, headers=who.headers) as response:
            body = await response.read()
            assert response.status < 500, body
            return response.status, msgspec.json.decode(body) if body else None

    async def read(self, who: Person, path: str) -> Any:
        status, body = await self.ask(who, "GET", path)
        assert status == 200, body
        return body

    async def pages(self, who: Person, path: str, limit: int) -> list[Any]:
        """Everything on the pages of a list."""
        found: list[Any] = []
        cursor = ""
        while True:
            page = await self.read(who, f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}")
            assert len(page["data"]) <= limit
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    async def device(self, who: Person, node: int, screen: Screen) -> Device:
        """Connect a device, and let it join with what it has seen."""
        at = self.nodes[node]
        device = Device(at, await at.endpoint.context.admission.admit(who.access_token), screen)
        screen.joined(await device.join(screen.after_id))
        return device

    async def tell(self) -> None:
        """Let the API deliver the held messages that may go."""
        while await self.http.app[SERVICES].telling.step():
            pass

    async def settle(self, devices: Sequence[Marked]) -> None:
        """Wait until everything that was published has reached these devices, and no gap is being read."""
        for node in self.nodes:
            node.ear.hear()
        await until(lambda: not any(node.is_reading for node in self.nodes), SOON)
        number = next(self._numbers)
        told = list(dict.fromkeys(device.topic for device in devices))
        for of, node in enumerate(self.nodes):
            node.endpoint.broadcast_to_all(told, MARK, {"number": number, "of": of})
        self.http.app[SERVICES].realtime.broadcast(told, MARK, {"number": number, "of": -1})
        wanted = {(number, of) for of in (-1, *range(len(self.nodes)))}
        await until(lambda: all(device.gone or wanted <= device.marks for device in devices), SOON)


@asynccontextmanager
async def running_town(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, holds: HoldLimits | None = None
) -> AsyncIterator[Town]:
    """Start an API and two gateways. There are no limits of rates, and of what is held only those that are given."""
    settings = replace(settings, rate_limits=False, telling_seconds=NEVER)
    started: list[Node] = []

    def with_ear(settings: Settings, node_id: str) -> Broker:
        broker, node = broker_for(settings, node_id), started[-1]
        start = broker.start

        async def start_with_ear(receiver: Receiver | None) -> None:
            assert receiver is not None
            node.ear = Ear(receiver)
            await start(node.ear)

        broker.start = start_with_ear  # type: ignore[method-assign]
        return broker

    def kept(*given: Any) -> CatchUp:
        started[-1].catch_up = CatchUp(*given)
        return started[-1].catch_up

    monkeypatch.setattr(HoldLimits, "of", lambda _: holds)
    monkeypatch.setattr(gateway_app, "broker_for", with_ear)
    monkeypatch.setattr(gateway_app, "CatchUp", kept)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            started.append(Node())
            gateway = await gateway_app.create_app(settings)
            started[-1].endpoint = gateway[gateway_app.ENDPOINT]
            runner = web.AppRunner(gateway)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
        http = TestClient(TestServer(create_api(settings, broker_for(settings, "api"))))
        await http.start_server()
        stack.push_async_callback(http.close)
        database = Database(settings)
        stack.push_async_callback(database.close)
        town = Town(settings, http, started, Rows(database))
        await until(lambda: all(node.endpoint.broker.connected for node in started), SOON)
        yield town
