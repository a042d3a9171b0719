"""The API in this process, on a real database; what it broadcasts is collected from a broker in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from api import passwords
from api.app import create_app
from api.away import Away
from api.looking import Looking
from api.telling import Telling
from shared.access.seal import Seal
from shared.domain.users import Role
from shared.events.control import CONTROL
from shared.events.envelope import SEALED_FOR, unpack
from shared.events.topics import MODERATION, listing, private_chat
from shared.postgres import Database
from shared.pubsub.memory import MemoryBroker, MemoryHub
from shared.repositories.users import UserRepository
from shared.settings import Settings
from tests.api.locks import Hold, holder
from tests.api.rows import Rows
from tests.end_to_end.conftest import settings_on
from tests.support.servers import Servers

PASSWORD = "correct horse battery"
REAL_HASHER = passwords._hasher


@dataclass
class Broadcasts:
    """The messages published on the subscribed topics, each as (topic, event, payload). Their seals are checked."""

    settings: Settings
    seen: list[tuple[str, str, Any]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def receive(self, topic: str, data: bytes) -> None:
        envelope = unpack(Seal.of(self.settings, SEALED_FOR).opened(topic, data))
        self.seen.append((topic, envelope.event, msgspec.json.decode(envelope.payload)))
        self.arrived.set()

    def link_restored(self, away_seconds: float) -> None:
        """Never called: a broker in memory has no link."""

    def messages_lost(self, seconds: float) -> None:
        """Never called: a broker in memory loses nothing."""


@dataclass
class Person:
    """A registered user and their tokens."""

    id: int
    email: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


class Api:
    """A REST client that checks the headers and the problem format of every answer."""

    def __init__(self, client: TestClient[Any, Any], users: UserRepository, settings: Settings) -> None:
        self.client = client
        self._users = users
        self.settings = settings
        self._count = 0

    async def call(
        self, method: str, path: str, status: int, *, who: Person | None = None, json: Any = None, **more: Any
    ) -> Any:
        """Send a request, check the answer's status, and return its body."""
        headers = {**(who.headers if who else {}), **more.pop("headers", {})}
        response = await self.client.request(method, path, json=json, headers=headers, **more)
        return await checked(response, status)

    async def every_page(self, path: str, *, who: Person | None = None, limit: int = 2) -> list[Any]:
        """The items of all pages of a list, of which no page has more than `limit`."""
        found: list[Any] = []
        params = {"limit": str(limit)}
        while True:
            answer = await self.call("GET", path, 200, who=who, params=params)
            assert len(answer["data"]) <= limit
            found += answer["data"]
            if answer["next_cursor"] is None:
                return found
            params["cursor"] = answer["next_cursor"]

    async def register(self, name: str = "Somebody", role: Role = Role.USER) -> Person:
        self._count += 1
        body = {"email": f"person{self._count}@example.com", "password": PASSWORD, "name": name}
        answer = await self.call("POST", "/api/register", 201, json=body)
        if role is not Role.USER:
            await self._users.set_role(answer["user"]["id"], role, by=None)
        return person(answer)

    async def accept(self, who: Person, *others: Person) -> None:
        """Let people accept what others have written to them."""
        for other in others:
            path = f"/api/conversations/{other.id}/request"
            await self.call("PUT", path, 204, who=who, json={"state": "accepted"})

    async def login(self, someone: Person, password: str = PASSWORD) -> Person:
        body = {"email": someone.email, "password": password}
        return person(await self.call("POST", "/api/login", 200, json=body))


NEVER = 1_000_000.0
"""Seconds between two turns of something that happens at intervals, for tests in which it must not happen."""
SHARES_THE_API = pytest.mark.asyncio(loop_scope="module")
"""The mark of the tests with `shared_api`, which run in its loop."""
MakeApi = Callable[..., Awaitable[Api]]
"""Starts the API with some settings changed: `await make_api(rate_limits=False)`."""


def person(answer: Any) -> Person:
    return Person(answer["user"]["id"], answer["user"]["email"], answer["access_token"], answer["refresh_token"])


async def checked(response: ClientResponse, status: int) -> Any:
    text = await response.text()
    assert response.status == status, f"{response.status}, not {status}: {text}"
    assert response.headers["X-Request-Id"]
    if status == 204 or response.method == "HEAD":
        assert not text
        return None
    body = msgspec.json.decode(text)
    if status >= 400 and not (status == 503 and response.url.path == "/health/ready"):
        assert response.content_type == "application/problem+json"
        assert body["status"] == status
        assert body["type"].startswith("/problems/")
        assert body["title"]
        assert body["detail"]
        assert ("errors" in body) is (status == 422)
        assert ("WWW-Authenticate" in response.headers) is (status == 401)
    else:
        assert response.content_type == "application/json"
    return body


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 at its least cost. At the real one it would take more CPU time than all else in these tests."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def real_hashes(quick_hashes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 as the product uses it."""
    monkeypatch.setattr(passwords, "_hasher", REAL_HASHER)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that are compared with a hash."""
    seen: list[str] = []
    verify = passwords._verify

    def noted(password_hash: str, password: str) -> bool:
        seen.append(password)
        return verify(password_hash, password)

    monkeypatch.setattr(passwords, "_verify", noted)
    return seen


@pytest.fixture
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API does only what it is asked: it looks for nobody who has to be told, and for no copies of pictures.

    Each of these looks has a connection of its own from the start, and together they take as long as a short test.
    """
    for work in (Telling, Looking, Away):
        monkeypatch.setattr(work, "start", lambda self: None)


@pytest.fixture
def hub() -> MemoryHub:
    return MemoryHub()


@pytest.fixture
async def broadcasts(hub: MemoryHub, settings: Settings) -> Broadcasts:
    """Collects what is broadcast to gateways, moderators, the first ten users and viewers of the first ten listings."""
    collected = Broadcasts(settings)
    broker = MemoryBroker(hub)
    await broker.start(collected)
    await broker.subscribe(CONTROL)
    await broker.subscribe(MODERATION)
    for user_id in range(1, 11):
        await broker.subscribe(private_chat(user_id))
        await broker.subscribe(listing(user_id))
    return collected


@asynccontextmanager
async def served(settings: Settings, hub: MemoryHub, users: UserRepository) -> AsyncIterator[Api]:
    """An API with these settings. `users` gives people their roles."""
    async with TestClient(TestServer(create_app(settings, MemoryBroker(hub)))) as client:
        yield Api(client, users, settings)


@pytest.fixture
async def make_api(settings: Settings, hub: MemoryHub) -> AsyncIterator[MakeApi]:
    """Starts the API with these settings changed. It sends no mail, unless `mail_seconds` is among them.

    Otherwise a mail might be gone from the outbox when a test looks there.
    """
    async with AsyncExitStack() as stack:
        database = Database(settings)
        stack.push_async_callback(database.close)

        async def make(**changes: Any) -> Api:
            changed = replace(settings, **{"mail_seconds": NEVER, **changes})
            return await stack.enter_async_context(served(changed, hub, UserRepository(database)))

        yield make


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One API for all tests of a module that change nothing. Their loop is the module's, and it has no rate limits."""
    with settings_on(servers, tmp_path_factory.mktemp("data")) as settings:
        database = Database(settings)
        async with served(replace(settings, mail_seconds=NEVER), MemoryHub(), UserRepository(database)) as api:
            yield api
        await database.close()


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    return await make_api()


@pytest.fixture
async def rows(settings: Settings) -> AsyncIterator[Rows]:
    """Writes to the API's database directly."""
    database = Database(settings)
    yield Rows(database)
    await database.close()


@pytest.fixture
def hold(rows: Rows) -> Hold:
    """Takes a lock on a connection of its own: see locks.py."""
    return holder(rows.database)
