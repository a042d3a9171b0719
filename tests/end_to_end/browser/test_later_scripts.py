"""The scripts that only some people need come in time; a page that misses one says so, or loads itself again."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Request, Route, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import BehindDoor, Open, Site
from tests.end_to_end.browser.front_door import FrontDoor
from tests.end_to_end.browser.test_chat import is_live
from tests.end_to_end.browser.test_connection import with_another_page
from tests.end_to_end.browser.test_first_view import held, noted, taken_over
from tests.support.processes import Processes

pytestmark = pytest.mark.asyncio(loop_scope="package")


def scripts(requests: list[Request]) -> list[str]:
    """The scripts that were asked for, without their hashes."""
    names = [urlsplit(one.url).path.rpartition("/")[2] for one in requests]
    return [re.sub(r"\.[0-9a-f]{16}\.", ".", name) for name in names if name.endswith(".js")]


async def test_a_visitor_loads_one_script_and_another_one_when_a_link_is_about_to_be_pressed(
    site: Site, open_page: Open
) -> None:
    ann, mod = await site.person("Ann"), await site.person("Mod", Role.MODERATOR)
    car = await site.listing(ann, await site.category("Sedans", mod), "A car")
    page = await open_page("/robots.txt")
    requests = noted(page)
    for path in ("/", f"/listings/{car}"):
        await page.goto(path)
        await taken_over(page)
        await page.wait_for_load_state("networkidle")
    assert scripts(requests) == ["all.js"] * 2
    del requests[:]
    async with page.expect_response(re.compile("/for_newcomers")):
        await page.get_by_role("link", name="Message the seller").hover()
    assert scripts(requests) == ["for_newcomers.js"]
    await page.get_by_role("link", name="Message the seller").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    assert scripts(requests) == ["for_newcomers.js"]
    # What somebody who is logged in needs comes while they type their password.
    async with page.expect_response(re.compile("/for_users")):
        await page.get_by_label("E-mail address").fill("ann@example.com")


async def test_a_page_whose_view_is_in_a_later_script_asks_for_each_script_once(site: Site, open_page: Open) -> None:
    mod = await site.person("Mod", Role.MODERATOR)
    for who, path, heading, wanted in (
        (None, "/register", "Register", {"all.js", "for_newcomers.js"}),
        (mod, "/messages", "Messages", {"all.js", "for_users.js"}),
        (mod, "/moderation", "Reports", {"all.js", "for_users.js", "for_staff.js"}),
    ):
        page = await open_page("/robots.txt", who)
        requests = noted(page)
        await page.goto(path)
        await expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        await page.wait_for_load_state("networkidle")
        asked = scripts(requests)
        assert wanted <= set(asked), path
        assert len(asked) == len(set(asked)), asked


async def test_the_page_stays_while_the_script_of_the_next_view_is_under_way_and_says_so_if_it_takes_long(
    site: Site, open_page: Open
) -> None:
    await site.person("Ann")
    page = await open_page("/")
    await taken_over(page)
    release = await held(page, "**/for_newcomers.*")
    await page.get_by_role("link", name="Register").click()
    await expect(page.get_by_role("status").filter(has_text="Loading…")).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Used cars")
    # Whoever changes their mind stays where they are.
    await page.go_back()
    await expect(page.get_by_role("status").filter(has_text="Loading…")).to_have_count(0)
    await page.get_by_role("link", name="Log in").first.click()
    await release()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    await expect(page.locator(".waiting")).to_have_count(0)


async def test_somebody_who_is_logged_in_sees_the_list_and_a_car_before_their_script_is_there(
    site: Site, open_page: Open
) -> None:
    ann, bob, mod = await site.person("Ann"), await site.person("Bob"), await site.person("Mod", Role.MODERATOR)
    category = await site.category("Sedans", mod)
    car = await site.listing(ann, category, "For members", visibility="private")
    # Whoever has been written to may answer: it is no request.
    for who, to in ((ann, bob), (bob, ann)):
        await site.rest.call("POST", "/api/messages", 201, who=who, body={"to": to.id, "message": "Hello"})
    page = await open_page("/nowhere", ann)
    release = await held(page, "**/for_users.*")
    await page.goto(f"/?category_id={category}")
    await expect(page.locator(".card h2 a")).to_have_text(["For members"])
    await page.locator(".card h2 a").click()
    await expect(page.get_by_text("This is your listing.")).to_be_visible()
    await expect(page.locator(".connection")).to_contain_text("Connecting…")
    await release()
    await is_live(page)
    await expect(page.locator(".top [data-unread]")).to_have_text("1 unread")
    # The car is followed live, although it was there before the connection.
    body = {"text": "Is it still there?"}
    await site.rest.call("POST", f"/api/listings/{car}/replies", 201, who=bob, body=body)
    await expect(page.locator(".reply .user-text")).to_have_text("Is it still there?")


async def test_a_view_whose_script_cannot_be_reached_says_so_and_comes_when_it_is_tried_again(
    site: Site, open_page: Open
) -> None:
    await site.person("Ann")
    page = await open_page("/")
    await taken_over(page)
    await page.evaluate("window.isSame = true")
    await page.context.set_offline(True)
    await page.get_by_role("link", name="Log in").first.click()
    await expect(page.get_by_role("alert")).to_contain_text("Daveslist cannot be reached.")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".waiting")).to_be_visible()
    # That attempt has failed too. Otherwise it would succeed as soon as the network is back.
    await expect(page.locator(".waiting")).to_have_count(0)
    await expect(page.get_by_role("alert")).to_contain_text("Daveslist cannot be reached.")
    await page.context.set_offline(False)
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    assert await page.evaluate("window.isSame")


async def test_a_page_whose_script_is_missing_everywhere_loads_itself_again_once_and_not_for_ever(
    site: Site, open_page: Open
) -> None:
    await site.person("Ann")
    page = await open_page("/")
    await taken_over(page)
    await gone(page, "**/for_newcomers.*")
    loads: list[str] = []
    page.on("domcontentloaded", lambda one: loads.append(urlsplit(one.url).path))
    await page.get_by_role("link", name="Register").click()
    await expect(page.get_by_role("alert")).to_contain_text("Daveslist has been updated.")
    assert loads == ["/register"]
    await page.unroute("**/for_newcomers.*")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Register")


async def gone(page: Page, pattern: str) -> None:
    """Let these files be missing."""

    async def refuse(route: Route) -> None:
        await route.fulfill(status=404, body="{}", content_type="application/problem+json")

    await page.route(pattern, refuse)


async def test_a_page_that_was_open_over_an_upgrade_goes_to_a_view_of_the_new_version_and_loses_nothing(
    site: Site, open_page: Open, behind_door: BehindDoor, tmp_path: Path
) -> None:
    ann, mod = await site.person("Ann"), await site.person("Mod", Role.MODERATOR)
    later = Processes(site.settings, tmp_path, with_another_page(tmp_path / "checkout", "views/reports.js"))
    async with FrontDoor([behind_door.api]) as address:
        try:
            page = await open_page("/nowhere", mod, api=address)
            # The script of moderators has not come before the upgrade.
            release = await held(page, "**/for_staff.*")
            await page.goto(f"/messages/{ann.id}")
            await is_live(page)
            await page.locator(".composer textarea").fill("Not sent yet")
            await page.evaluate("window.isOld = true")
            address.nodes[:] = [await later.api(GATEWAY_URL=behind_door.door.url)]
            await address.cut()
            await page.get_by_role("link", name="Moderation").click()
            await release()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Reports")
            await expect(page.locator("html[data-is-new]")).to_have_count(1)
            assert await page.evaluate("window.isOld === undefined")
            await page.goto(f"/messages/{ann.id}")
            await expect(page.locator(".composer textarea")).to_have_value("Not sent yet")
        finally:
            await later.stop()


async def test_a_script_that_an_upgrade_has_not_changed_still_comes_to_a_page_of_before(
    site: Site, open_page: Open, behind_door: BehindDoor, tmp_path: Path
) -> None:
    later = Processes(site.settings, tmp_path, with_another_page(tmp_path / "checkout"))
    async with FrontDoor([behind_door.api]) as address:
        try:
            page = await open_page("/", api=address)
            await taken_over(page)
            await page.evaluate("window.isOld = true")
            address.nodes[:] = [await later.api(GATEWAY_URL=behind_door.door.url)]
            await address.cut()
            await asyncio.gather(page.wait_for_url("**/login"), page.get_by_role("link", name="Log in").first.click())
            await expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
            assert await page.evaluate("window.isOld")
        finally:
            await later.stop()
