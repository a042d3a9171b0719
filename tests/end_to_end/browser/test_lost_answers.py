"""An answer that is lost on its way to the page does not make two of what the person asked for."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site, jpeg
from tests.support.database import query

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def lose(page: Page | BrowserContext, path: str, answers: Callable[[int], bool]) -> list[str]:
    """Lose the answers to POSTs for which `answers(number)` is false. Returns the keys of all requests."""
    keys: list[str] = []

    async def handle(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        keys.append(route.request.headers["idempotency-key"])
        if answers(len(keys)):
            await route.continue_()
        else:
            await route.fetch()
            await route.abort("connectionreset")

    await page.route(re.compile(path), handle)
    return keys


def count(site: Site, table: str, owner: str, user_id: int) -> int:
    [[number]] = query(site.settings.database_url, f"SELECT count(*) FROM {table} WHERE {owner} = %s", user_id)
    return int(number)


async def test_a_listing_with_its_picture_is_made_once_though_two_answers_are_lost(site: Site, open_page: Open) -> None:
    category = await site.category("Sedans", await site.person("Mona", Role.MODERATOR))
    ann = await site.person("Ann")
    page = await open_page("/listings/new", ann)
    posts = await lose(page, r"/api/listings$", lambda number: number == 2)
    uploads = await lose(page, r"/api/listings/\d+/pictures$", lambda number: number == 2)
    await page.get_by_label("Title").fill("Once only")
    await page.get_by_label("Category").select_option(str(category))
    await page.get_by_label("Description").fill("Red.")
    await page.get_by_label("Add pictures").set_input_files([jpeg("red")])
    await page.get_by_role("button", name="Put it online").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Once only")
    assert (len(posts), len(set(posts))) == (2, 1)
    assert (len(uploads), len(set(uploads))) == (2, 1)
    assert count(site, "listings", "seller_id", ann.id) == 1
    [[listing]] = query(site.settings.database_url, "SELECT id FROM listings WHERE seller_id = %s", ann.id)
    assert count(site, "pictures", "listing_id", listing) == 1


async def test_a_second_press_in_another_tab_sends_the_same_reply_and_not_another(site: Site, open_page: Open) -> None:
    seller, bob = await site.person("Ann", Role.MODERATOR), await site.person("Bob")
    listing = await site.listing(seller, await site.category("Vans", seller), "A van")
    page = await open_page(f"/listings/{listing}", bob)
    keys = await lose(page.context, r"/replies$", lambda number: number > 4)
    for press in (1, 2):
        await page.locator("#reply textarea").fill("Is it still there?")
        await page.locator("#reply button").click()
        if press == 1:
            await expect(page.locator("#reply .fault")).to_contain_text("cannot be reached")
            # The draft is in the next tab as well, so the press there may be the same.
            tab = await page.context.new_page()
            await page.close()
            page = tab
            await page.goto(f"/listings/{listing}")
            await expect(page.locator("#reply textarea")).to_have_value("Is it still there?")
    await expect(page.locator("#reply .done")).to_have_text("Your reply is posted.")
    assert (len(keys), len(set(keys))) == (5, 1)
    assert count(site, "replies", "author_id", bob.id) == 1

    # The same words once more, on purpose, are another reply.
    await page.locator("#reply textarea").fill("Is it still there?")
    await page.locator("#reply button").click()
    await expect(page.get_by_text("Is it still there?")).to_have_count(2)
    assert count(site, "replies", "author_id", bob.id) == 2


async def test_a_report_and_a_saved_search_are_made_once(site: Site, open_page: Open) -> None:
    seller, eve = await site.person("Ann", Role.MODERATOR), await site.person("Eve")
    listing = await site.listing(seller, await site.category("Coupes", seller), "A coupe")
    page = await open_page(f"/listings/{listing}", eve)
    await lose(page, r"/(reports|searches)$", lambda number: number % 2 == 0)
    await page.get_by_role("button", name="Report").first.click()
    await page.get_by_label("Reason").select_option("spam")
    await page.locator("dialog[open] button.primary").click()
    await expect(page.get_by_text("The moderators will look at it.")).to_be_visible()
    assert count(site, "reports", "reporter_id", eve.id) == 1
    await page.goto("/?q=coupe")
    await page.get_by_role("button", name="Save this search").click()
    await expect(page.get_by_role("link", name="Saved", exact=True)).to_be_visible()
    assert count(site, "saved_searches", "user_id", eve.id) == 1
