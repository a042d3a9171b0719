"""The page's connection as people have it: networks that come and go, sleep, middleboxes, and upgrades meanwhile."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.end_to_end.browser.conftest import BehindDoor, Open, Site
from tests.end_to_end.browser.front_door import FrontDoor
from tests.end_to_end.browser.test_chat import is_live, messages, write
from tests.support.client import Person
from tests.support.processes import CHECKOUT, Processes

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def by(page: Page, *, longpoll: bool) -> None:
    """Wait until the page is connected in this way."""
    way = str(longpoll).lower()
    await expect(page.locator(f".connection[data-state=live][data-longpoll={way}]")).to_be_visible()


async def chat_with_a_clock(open_page: Open, behind_door: BehindDoor, who: Person, other: Person) -> Page:
    """Open a chat, connected through the door, in a page whose clock the test moves."""
    page = await open_page("/login", who, api=behind_door.api)
    await page.clock.install()
    await page.goto(f"/messages/{other.id}")
    await is_live(page)
    return page


@pytest.mark.parametrize("how", ["cut", "refused"])
async def test_the_page_tries_websockets_again_some_time_after_it_has_given_them_up(
    site: Site, open_page: Open, behind_door: BehindDoor, how: str
) -> None:
    door = behind_door.door
    if how == "cut":
        door.cuts_websockets_after = 0.3
    else:
        door.lets_websockets_through = False
    ann, bob = await site.person("Ann"), await site.person("Bob")
    page = await open_page("/login", ann, api=behind_door.api)
    # The clock of the page runs as usual, until it is put forward below.
    await page.clock.install()
    await page.goto(f"/messages/{bob.id}")
    await by(page, longpoll=True)
    given_up = door.websockets
    await write(page, "By long polling")
    await expect(messages(page)).to_have_text(["By long polling"])
    # It is still in the way: back to long polling, without a message lost.
    await page.clock.fast_forward(61_000)
    await write(page, "Still by long polling")
    await expect(messages(page)).to_have_text(["By long polling", "Still by long polling"])
    await by(page, longpoll=True)
    assert door.websockets > given_up
    door.cuts_websockets_after, door.lets_websockets_through = None, True
    await page.clock.fast_forward(125_000)
    await by(page, longpoll=False)
    await write(page, "By WebSocket")
    await expect(messages(page)).to_have_text(["By long polling", "Still by long polling", "By WebSocket"])


@pytest.mark.parametrize("seconds", [20, 3_600])
async def test_a_computer_that_slept_is_connected_again_as_soon_as_it_wakes(
    site: Site, open_page: Open, behind_door: BehindDoor, seconds: int
) -> None:
    ann, bob = await site.person("Ann"), await site.person("Bob")
    page = await chat_with_a_clock(open_page, behind_door, ann, bob)
    # Meanwhile the server has given up the connection. The computer hears nothing of that: the network is another one.
    await behind_door.door.strand()
    body = {"to": ann.id, "message": "While you slept"}
    await site.rest.call("POST", "/api/messages", 201, who=bob, body=body)
    await page.clock.fast_forward(seconds * 1_000)
    await expect(messages(page)).to_have_text(["While you slept"])
    await is_live(page)
    await write(page, "Good morning")
    await expect(messages(page)).to_have_text(["While you slept", "Good morning"])


async def test_a_phone_without_a_network_says_so_at_once_and_is_back_with_the_next_one(
    site: Site, open_page: Open, behind_door: BehindDoor
) -> None:
    ann, bob = await site.person("Ann"), await site.person("Bob")
    page = await open_page(f"/messages/{bob.id}", ann, api=behind_door.api)
    await is_live(page)
    # The connection over the old network hears nothing any more, and nobody ends it.
    await behind_door.door.strand()
    # No answer to a heartbeat is waited for: timers stand still.
    await page.clock.install()
    await page.clock.pause_at(time.time() + 5)
    await page.context.set_offline(True)
    await expect(page.locator("[data-banner=lost]")).to_contain_text("You are offline. What you write is sent")
    await write(page, "From the tunnel")
    await expect(page.locator("[data-pending]")).to_contain_text("Waiting for the connection")
    await page.clock.resume()
    await page.context.set_offline(False)
    await expect(messages(page)).to_have_text(["From the tunnel"])
    await is_live(page)
    # From one network straight to the next: the browser says only that it is another one.
    await behind_door.door.strand()
    await site.rest.call("POST", "/api/messages", 201, who=bob, body={"to": ann.id, "message": "Where are you?"})
    await page.evaluate("navigator.connection.dispatchEvent(new Event('change'))")
    await expect(messages(page)).to_have_text(["From the tunnel", "Where are you?"])


async def test_conversations_are_shown_while_no_gateway_can_be_reached(
    site: Site, open_page: Open, behind_door: BehindDoor
) -> None:
    ann, bob = await site.person("Ann"), await site.person("Bob")
    await site.rest.call("POST", "/api/messages", 201, who=bob, body={"to": ann.id, "message": "Hello"})
    behind_door.door.nodes.clear()
    page = await open_page("/messages", ann, api=behind_door.api)
    await expect(page.locator(".conversation-last")).to_have_text("Hello")
    await expect(page.locator(".connection")).to_contain_text("connecting…", ignore_case=True)
    await page.locator(f'[data-conversation="{bob.id}"]').click()
    await expect(messages(page)).to_have_text(["Hello"])
    await expect(page.locator("[data-banner]")).to_be_visible()
    await write(page, "Hello?")
    # What waits is still there, and sent once, if the tab is closed and the page opened in another one.
    await expect(page.locator("[data-pending]")).to_have_count(1)
    tab = await page.context.new_page()
    await page.close()
    page = tab
    await page.goto(f"/messages/{bob.id}")
    await expect(page.locator("[data-pending] .bubble")).to_have_text("Hello?")
    behind_door.door.nodes[:] = site.gateways
    await expect(messages(page)).to_have_text(["Hello", "Hello?"])
    await expect(page.locator("[data-pending]")).to_have_count(0)
    await page.reload()
    await expect(messages(page)).to_have_text(["Hello", "Hello?"])
    await expect(page.locator("[data-pending]")).to_have_count(0)


def with_another_page(directory: Path, changed: str = "main.js") -> Path:
    """A checkout of the same code, whose page has another version: this module differs. Only the page is copied."""
    (directory / "api").mkdir(parents=True)
    for name in ("shared", "clients"):
        (directory / name).symlink_to(CHECKOUT / name)
    for path in (CHECKOUT / "api").iterdir():
        if path.name not in ("web", "__pycache__"):
            (directory / "api" / path.name).symlink_to(path)
    shutil.copytree(CHECKOUT / "api" / "web", directory / "api" / "web")
    with (directory / "api" / "web" / changed).open("a", encoding="utf-8") as module:
        module.write("document.documentElement.dataset.isNew = 'true';\n")
    return directory


async def test_a_page_that_was_open_over_an_upgrade_offers_the_new_version_and_loses_nothing(
    site: Site, open_page: Open, behind_door: BehindDoor, tmp_path: Path
) -> None:
    ann, bob = await site.person("Ann"), await site.person("Bob")
    later = Processes(site.settings, tmp_path, with_another_page(tmp_path / "checkout"))
    async with FrontDoor([behind_door.api]) as address:
        try:
            page = await open_page("/login", ann, api=address)
            await page.clock.install()
            await page.goto(f"/messages/{bob.id}")
            await is_live(page)
            await page.locator(".composer textarea").fill("Not sent yet")
            await page.evaluate("window.isOld = true")
            # A week later another server, whose page is another one, is at the same address.
            address.nodes[:] = [await later.api(GATEWAY_URL=behind_door.door.url)]
            await address.cut()
            await page.clock.fast_forward(7 * 24 * 3_600_000)
            await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            await expect(page.locator("[data-upgrade]")).to_contain_text("Daveslist has been updated.")
            assert await page.evaluate("window.isOld && !document.documentElement.dataset.isNew")
            # The next link loads the page from the server.
            await page.locator('.top a[href="/messages"]').click()
            await expect(page.locator("html[data-is-new]")).to_have_count(1)
            await expect(page.locator("[data-upgrade]")).to_have_count(0)
            assert await page.evaluate("window.isOld === undefined")
            await page.goto(f"/messages/{bob.id}")
            await expect(page.locator(".composer textarea")).to_have_value("Not sent yet")
            await is_live(page)
        finally:
            await later.stop()
