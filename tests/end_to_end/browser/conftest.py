"""Playwright opens the page in Chromium, against two APIs and two gateway nodes."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, cast

import pytest
import pytest_asyncio
from aiohttp import FormData
from PIL import Image
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    FilePayload,
    Page,
    StorageState,
    async_playwright,
    expect,
)

from shared.domain.users import Role
from shared.postgres import Database
from shared.repositories.users import UserRepository
from shared.settings import Settings
from tests.end_to_end.browser.chromium import FLAGS, find_chromium
from tests.end_to_end.browser.front_door import FrontDoor
from tests.end_to_end.conftest import settings_on
from tests.support.client import Person, Rest
from tests.support.database import query
from tests.support.processes import Node, Processes
from tests.support.proxy import Proxy
from tests.support.servers import Servers
from tests.support.waiting import until

PATIENCE_MS = 30_000

Open = Callable[..., Awaitable[Page]]


@dataclass
class Site:
    """Two gateway nodes, and two APIs; each API's page connects to one of the gateways."""

    settings: Settings
    processes: Processes
    apis: tuple[Node, Node]
    gateways: tuple[Node, Node]
    rest: Rest
    users: UserRepository
    roles: dict[int, Role] = field(default_factory=dict)

    async def person(self, name: str, role: Role = Role.USER) -> Person:
        """Register a new user, whom everybody knows already: nobody's message is a request."""
        person = await self.stranger(name)
        query(
            self.settings.database_url,
            """INSERT INTO contacts (user_id, other_id, state, seems_accepted)
               SELECT user_id, other_id, 'accepted', true FROM users u
               CROSS JOIN LATERAL (VALUES (u.id, %s), (%s, u.id)) AS pair (user_id, other_id)
               WHERE u.id <> %s ON CONFLICT DO NOTHING""",
            *[person.id] * 3,
        )
        if role is not Role.USER:
            await self.users.set_role(person.id, role, by=None)
        self.roles[person.id] = role
        return person

    async def stranger(self, name: str) -> Person:
        """Register a new user, who has to ask before writing to others."""
        person = await self.rest.register(name)
        self.roles[person.id] = Role.USER
        return person

    async def category(self, name: str, moderator: Person, visibility: str = "public") -> int:
        body = {"name": f"{name} {time.monotonic_ns()}", "visibility": visibility}
        found = await self.rest.call("POST", "/api/categories", 201, who=moderator, body=body)
        return int(found["id"])

    async def listing(self, seller: Person, category_id: int, title: str, **more: Any) -> int:
        body = {"title": title, "content": f"All about {title}.", "category_id": category_id, **more}
        found = await self.rest.call("POST", "/api/listings", 201, who=seller, body=body)
        return int(found["id"])

    async def picture(self, seller: Person, listing: int, colour: str = "red", *, width: int = 640) -> None:
        form = FormData()
        file = jpeg(colour, width, width * 3 // 4)
        form.add_field("picture", file["buffer"], filename=file["name"], content_type=file["mimeType"])
        await self.rest.call("POST", f"/api/listings/{listing}/pictures", 201, who=seller, data=form)

    async def told(self) -> None:
        """Wait until everybody has been told of all changes."""
        waiting = "SELECT FROM listing_changes WHERE due_at <= now()"
        await until(lambda: not query(self.settings.database_url, waiting))


@pytest.fixture(scope="package")
def site_settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with settings_on(servers, tmp_path_factory.mktemp("data")) as settings:
        yield settings


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def site(
    chromium: Browser, site_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """The fixture `chromium` comes first, so nothing is started on a machine without a browser."""
    processes = Processes(site_settings, tmp_path_factory.mktemp("processes"))
    database = Database(site_settings)
    try:
        gateways = await processes.gateway(), await processes.gateway()
        first, second = [await processes.api(GATEWAY_URL=gateway.url) for gateway in gateways]
        async with Rest(first.url) as rest:
            yield Site(site_settings, processes, (first, second), gateways, rest, UserRepository(database))
    finally:
        await database.close()
        await processes.stop()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def chromium() -> AsyncIterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on this machine")
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        # The browser has a new profile, which is deleted at the end.
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="package")
async def open_page(site: Site, chromium: Browser) -> AsyncIterator[Open]:
    """`await open_page(path, person, node=0)` opens a path of that node's API in a new browser context of this person.

    `api` is another API, or what is in front of one; `browser` has other settings.

    At the end, no page may have had a script error or a violation of the content security policy.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        # A failed request is no fault of the page: tests delete listings and kill nodes.
        is_request = message.text.startswith("Failed to load resource") or "WebSocket connection" in message.text
        if message.type == "error" and not is_request and "net::ERR" not in message.text:
            faults.append(message.text)

    async def open_page_of(
        path: str = "/",
        person: Person | None = None,
        *,
        node: int = 0,
        api: Node | FrontDoor | Proxy | None = None,
        browser: Browser = chromium,
        **options: Any,
    ) -> Page:
        url = (api or site.apis[node]).url
        state = logged_in(person, site.roles[person.id], url) if person else None
        context = await browser.new_context(base_url=url, storage_state=state, locale="en-US", **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", on_console)
        await page.goto(path)
        return page

    yield open_page_of
    for context in contexts:
        await context.close()
    assert not faults


def logged_in(person: Person, role: Role, url: str) -> StorageState:
    """The page's stored session of a person who has logged in."""
    session = {
        "user": {"id": person.id, "email": person.email, "name": person.name, "role": role.value},
        "access_token": person.token,
        "refresh_token": person.refresh_token,
        "refresh_at": (time.time() + 3000) * 1000,
    }
    entry = {"name": "daveslist.session", "value": json.dumps(session)}
    return cast(StorageState, {"cookies": [], "origins": [{"origin": url, "localStorage": [entry]}]})


@dataclass
class BehindDoor:
    """A load balancer in front of the gateways, and an API whose page connects to it."""

    door: FrontDoor
    api: Node


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def one_door(site: Site) -> AsyncIterator[BehindDoor]:
    async with FrontDoor(site.gateways) as door:
        yield BehindDoor(door, await site.processes.api(GATEWAY_URL=door.url))


@pytest.fixture
def behind_door(one_door: BehindDoor, site: Site) -> BehindDoor:
    """The load balancer with its first settings."""
    one_door.door.as_new(site.gateways)
    return one_door


def jpeg(colour: str, width: int = 640, height: int = 480) -> FilePayload:
    """A picture for a file input."""
    output = BytesIO()
    Image.new("RGB", (width, height), colour).save(output, "JPEG")
    return {"name": f"{colour}.jpg", "mimeType": "image/jpeg", "buffer": output.getvalue()}
