"""The walk of a stranger's unrelated offer: it waits apart, is reported, its sender is suspended, and objects.

The stranger's browser is Firefox where there is one; that of all others is Chromium.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Request, WebSocket, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site
from tests.end_to_end.browser.engines.chromium import ChromiumTab
from tests.end_to_end.browser.engines.firefox import find_firefox, firefox
from tests.end_to_end.browser.engines.person import Someone
from tests.end_to_end.browser.engines.tab import ENTER, Tab
from tests.end_to_end.browser.test_chat import is_live, messages, write
from tests.end_to_end.browser.test_journeys import log_in
from tests.support.client import Person
from tests.support.database import query
from tests.support.waiting import until

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    # On a busy machine, Firefox alone takes a minute.
    pytest.mark.timeout(300),
]

OFFER = "Golden watches, almost for free"
# Nobody looks at this page, so it would show notifications, which make the sound.
UNSEEN = """
    Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
    globalThis.firstShown = new Promise((resolve) => {
        globalThis.Notification = class {
            static permission = "granted";
            constructor(title) { resolve(title); }
        };
    });
"""


class Watched:
    """What comes to a page, and what the page does by itself, from now on."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.events: list[tuple[str, Any]] = []
        self.requests: list[str] = []
        self.sockets: list[WebSocket] = []
        self._is_on = False
        page.on("websocket", self._opened)
        page.on("request", self._asked)

    def _asked(self, request: Request) -> None:
        if self._is_on:
            self.requests.append(request.url)

    def _opened(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        socket.on("framereceived", self._came)

    def _came(self, frame: bytes | str) -> None:
        *_, event, payload = json.loads(frame)
        if self._is_on and event != "phx_reply":
            self.events.append((event, payload))

    async def begin(self) -> None:
        """To be called when all is drawn: after it, a page that is loaded again forgets its mark."""
        await self.page.evaluate("globalThis.isMarked = true")
        self._is_on = True

    async def saw_nothing(self, *, but: str | None = None) -> None:
        """Assert that nothing came, but that this person is no longer present, and that nothing was loaded."""
        left = [payload for event, payload in self.events if event == "presence_diff"]
        assert [event for event, _ in self.events if event != "presence_diff"] == []
        assert [(one["joins"], list(one["leaves"])) for one in left] == ([({}, [but])] if but else [])
        assert self.requests == []
        assert await self.page.evaluate("globalThis.isMarked") is True


async def say(site: Site, who: Person, to: Person, numbers: Iterable[int]) -> None:
    for number in numbers:
        body = {"to": to.id, "message": f"Number {number}"}
        await site.rest.call("POST", "/api/messages", 201, who=who, body=body)


@asynccontextmanager
async def stranger_tab(directory: Path, open_page: Open) -> AsyncIterator[Tab]:
    if found := find_firefox():
        async with firefox(found, directory) as tab:
            yield tab
    else:
        yield ChromiumTab(await open_page("/login"))


async def test_an_unrelated_offer_ends_with_a_suspended_stranger_and_nobody_else_notices(
    site: Site, open_page: Open, tmp_path: Path
) -> None:
    ann, bob = await site.person("Ann"), await site.person("Bob")
    mona, otto = await site.person("Mona", Role.MODERATOR), await site.person("Otto", Role.MODERATOR)
    eve = await site.stranger("Eve")
    camry = await site.listing(ann, await site.category("Sedans", mona), "Toyota Camry")
    anns = await open_page("/account", ann)
    await anns.context.add_init_script(UNSEEN)
    await anns.goto("/messages")
    chat, car, eves_second = [
        Watched(await open_page("/", who, node=node)) for who, node in ((bob, 0), (bob, 1), (eve, 1))
    ]
    for watched, path in (
        (chat, f"/messages/{ann.id}"),
        (car, f"/listings/{camry}"),
        (eves_second, f"/listings/{camry}"),
    ):
        await watched.page.goto(path)
        await is_live(watched.page)
    monas, ottos = await open_page("/moderation", mona), await open_page("/moderation/objections", otto, node=1)
    for page in (anns, monas, ottos):
        await is_live(page)
    await expect(car.page.locator("#viewers")).to_contain_text("1 other person")
    async with stranger_tab(tmp_path, open_page) as tab:
        eves = Someone(tab, site.apis[0].url)
        await eves.go("/")
        await log_in(eves, eve)
        await chat.begin()

        # The offer is no message about a car. It waits among the requests, and makes no noise.
        await say(site, eve, ann, range(6))
        await eves.go(f"/messages/{ann.id}")
        await eves.sees(".message.mine", "Number 5")
        await eves.fill("Message to Ann", f"{OFFER}{ENTER}")
        await eves.sees(".message.mine[data-message]", OFFER)
        await say(site, eve, ann, range(6, 12))
        await expect(anns.get_by_role("link", name="Requests (1)")).to_be_visible()
        await expect(anns).to_have_title("Messages · Daveslist")
        await expect(anns.locator(".top .badge")).to_have_count(0)
        assert query(site.settings.database_url, "SELECT FROM outbox WHERE user_id = %s", ann.id) == []

        # One press reports it, and declines the stranger.
        await anns.get_by_role("link", name="Requests (1)").click()
        await anns.locator(f"[data-conversation='{eve.id}']").click()
        await expect(messages(anns)).to_have_count(13)
        await anns.locator("#request").get_by_role("button", name="Report").click()
        await expect(anns.locator(".composer .done")).to_have_text("Thank you. The moderators will look at it.")
        await expect(anns.locator("#request")).to_contain_text("You have declined Eve")

        # A moderator sees it at once, holds it, and reads ten messages around the one that was reported.
        group = monas.locator(f"[data-group='user {eve.id}']")
        await expect(group.locator("blockquote")).to_have_text("Number 11")
        await expect(group).to_contain_text("Not about the car")
        await group.focus()
        await expect(group.get_by_role("button", name="Resolved")).to_be_visible()
        await group.get_by_role("button", name="Show the messages around it").click()
        await expect(group.locator(".reported-messages li")).to_have_count(11)
        await expect(group.locator(".reported-messages [aria-current]")).to_contain_text("Number 11")
        await expect(group.locator(".reported-messages")).to_contain_text(OFFER)
        await group.get_by_role("link", name="Warn or suspend").click()

        await car.begin()
        await monas.get_by_role("button", name="Suspend").click()
        await monas.get_by_label("Reason").fill("Offers of watches to everybody")
        await monas.get_by_label("For how long").select_option("3")
        await monas.get_by_role("dialog").get_by_role("button", name="Suspend").click()

        # All sockets of the stranger close. Each page says why and until when, and lets the stranger object.
        await eves.sees(".notice", "You are suspended until")
        await eves.sees(".notice", "Offers of watches to everybody")
        await expect(eves_second.page.locator(".notice")).to_contain_text("Offers of watches to everybody")
        await expect(eves_second.page.get_by_role("link", name="Object to this")).to_be_visible()
        await until(lambda: eves_second.sockets[-1].is_closed())

        # Nobody else noticed anything, but that one person less looks at the car.
        await expect(car.page.locator("#viewers")).to_have_count(0)
        await chat.saw_nothing()
        await car.saw_nothing(but=str(eve.id))
        await write(chat.page, "Is the Camry still there?")
        await expect(chat.page.locator("[data-pending]")).to_have_count(0)
        await until(lambda: [event for event, _ in chat.events] == ["send"])
        await expect(anns).to_have_title("(1) Messages with Eve · Daveslist")
        assert await anns.evaluate("firstShown") == "Bob"

        # The stranger objects. Moderators see that at once, wherever they are.
        await eves.press("Object to this")
        await eves.fill("What is wrong with it", "They are real.")
        await eves.press("Object")
        await eves.sees("main", "A moderator decides about it")
        row = ottos.get_by_role("listitem").filter(has_text="They are real.")
        await expect(row.get_by_role("button", name="Decide")).to_be_visible()
        await expect(monas.locator("[data-sanction]")).to_contain_text("They are real.")
        await expect(monas.get_by_role("link", name=re.compile(r"Objections \(\d+\)"))).to_be_visible()
        assert not await tab.faults()
