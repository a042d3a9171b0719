"""The search field suggests makes, models and places, by keyboard and by touch; a corrected search says so."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from shared.domain.users import Role
from shared.postgres import Database
from shared.repositories.suggestions import collect_suggestions
from shared.repositories.vocabulary import rebuild_vocabulary
from tests.end_to_end.browser.conftest import Open, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def collect(site: Site) -> None:
    """Do at once what one of the APIs does every few minutes."""
    database = Database(site.settings)
    async with database.transaction() as transaction:
        await collect_suggestions(transaction)
        await rebuild_vocabulary(transaction)
    await database.close()


async def test_suggestions_are_taken_with_the_keyboard_and_by_a_press(site: Site, open_page: Open) -> None:
    moderator = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Coupes", moderator)
    for seller in (moderator, await site.person("Bob")):
        await site.listing(seller, category, f"Coupe {seller.id}", make="Zastava", model="Yugo", location="Zagreb")
    await collect(site)
    page = await open_page("/")
    search = page.get_by_role("combobox", name="Search cars")
    options = page.get_by_role("listbox", name="Suggestions").get_by_role("option")

    await expect(search).to_have_attribute("aria-expanded", "false")
    await search.fill("za")
    await expect(search).to_have_attribute("aria-expanded", "true")
    await expect(options.filter(has_text="Zastava Yugo")).to_be_visible()
    await expect(page.locator("#announcer")).to_contain_text("suggestions")
    texts = await options.all_text_contents()

    await page.keyboard.press("ArrowUp")
    await expect(options.last).to_have_attribute("aria-selected", "true")
    active = await search.get_attribute("aria-activedescendant")
    assert active == await options.last.get_attribute("id")
    await expect(search).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(search).to_have_attribute("aria-expanded", "false")
    await expect(search).to_have_value("za")

    await search.press_sequentially("g")
    await expect(options.filter(has_text="Zagreb")).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("q=Zagreb"))
    await expect(page.locator(".card")).to_have_count(2)
    await expect(search).to_have_attribute("aria-expanded", "false")

    await search.fill("zas")
    await options.filter(has_text="Zastava Yugo").click()
    await expect(page).to_have_url(re.compile("q=Zastava"))
    await expect(search).to_have_value("Zastava Yugo")
    assert len(texts) > 2


async def test_a_suggestion_is_taken_by_a_tap_while_the_keyboard_covers_half_of_a_phone(
    site: Site, open_page: Open
) -> None:
    moderator = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Coupes", moderator)
    for seller in (moderator, await site.person("Bob")):
        for place in ("Xanten", "Xabia", "Xai-Xai", "Xalapa"):
            await site.listing(seller, category, f"Coupe {place}", make="Xiali", model="Xenia", location=place)
    await collect(site)
    phone = {"width": 390, "height": 844}
    page = await open_page("/", viewport=phone, has_touch=True, is_mobile=True)
    search = page.get_by_role("combobox", name="Search cars")
    suggestions = page.get_by_role("listbox", name="Suggestions")
    await expect(page.locator("#announcer")).to_have_count(1)
    await search.tap()
    await search.press_sequentially("xa")
    await expect(suggestions.get_by_role("option", name="Xanten")).to_be_visible()
    # The keyboard comes up, and leaves little.
    await page.set_viewport_size({"width": 390, "height": 200})
    await expect(search).to_have_attribute("aria-expanded", "true")
    await expect(suggestions).to_be_in_viewport(ratio=0.99)
    field, shown = await search.bounding_box(), await suggestions.bounding_box()
    assert field is not None
    assert shown is not None
    assert field["y"] + field["height"] <= shown["y"]
    await suggestions.get_by_role("option").last.tap()
    await expect(page).to_have_url(re.compile("q=Xa"))
    await expect(page.locator(".card").first).to_be_visible()
    await expect(suggestions).to_be_hidden()


async def test_a_corrected_search_says_so_and_can_be_undone(site: Site, open_page: Open) -> None:
    moderator = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Vans", moderator)
    for seller in (moderator, await site.person("Bob")):
        await site.listing(seller, category, f"Barkas van {seller.id}")
    await collect(site)
    page = await open_page("/?q=barkos")
    notice = page.locator(".corrected")
    await expect(notice).to_have_text("Showing results for barkas. Search instead for barkos.")
    await expect(page.locator(".card")).to_have_count(2)
    await expect(page.get_by_label("Sort")).to_have_value("relevance")
    await notice.get_by_role("link", name="barkos").click()
    await expect(page.locator(".empty")).to_be_visible()
    await expect(notice).to_have_count(0)

    # The next search is corrected again.
    await page.get_by_role("combobox", name="Search cars").fill("barkos van")
    await page.keyboard.press("Enter")
    await notice.get_by_role("link", name="barkas van").click()
    await expect(page).to_have_url(re.compile(r"/\?q=barkas\+van$"))
    await expect(page.locator(".card")).to_have_count(2)
    await expect(notice).to_have_count(0)
