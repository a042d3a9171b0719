"""The page on the screen of a phone."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="package")

PHONE = {"width": 390, "height": 844}


async def test_the_filters_close_and_say_what_they_ask_and_each_can_be_taken_away(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Filtered", ann)
    for number in range(26):
        await site.listing(ann, category, f"Car {number}", price=1000 + number, fuel="diesel" if number else "electric")
    page = await open_page(f"/?category_id={category}", viewport=PHONE)
    await expect(page.locator(".found")).to_have_text("26 cars")
    await page.locator(".filters > summary").click()
    await page.get_by_label("Max price").fill("1004")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".card")).to_have_count(5)
    await expect(page.locator(".found")).to_have_text("5 cars")
    await expect(page.locator(".filters > summary")).to_have_text("Filters (2)")
    await expect(page.get_by_label("Max price")).to_be_hidden()
    await expect(page.locator(".card").first).to_be_in_viewport()
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    await expect(page.locator(".chip bdi")).to_have_text([re.compile("^Filtered"), "up to $1,004"])
    await page.locator(".chip", has_text="up to $1,004").click()
    await expect(page.locator(".card")).to_have_count(24)
    await expect(page).to_have_url(re.compile(rf"/\?category_id={category}$"))
    # Going back shows again what that search asked, also in the fields and in the order.
    await page.get_by_label("Sort").select_option("price")
    await expect(page.locator(".card h2").first).to_have_text("Car 0")
    await page.get_by_label("Sort").select_option("-price")
    await expect(page.locator(".card h2").first).to_have_text("Car 25")
    await page.go_back()
    await expect(page.locator(".card h2").first).to_have_text("Car 0")
    await expect(page.get_by_label("Sort")).to_have_value("price")


async def test_the_header_is_one_row_with_a_menu_also_for_staff_with_a_long_name(site: Site, open_page: Open) -> None:
    admin = await site.person("Bartholomew-Maximilian-of-Somewhere", Role.ADMIN)
    page = await open_page("/account", admin, viewport=PHONE)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    header = await page.locator(".top").bounding_box()
    assert header is not None
    assert header["height"] <= 64
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for sign in ("a[href='/messages'] .icon", "a.bell .icon", ".menu-button .icon"):
        await expect(page.locator(f".top {sign}")).to_be_visible()
    menu = page.get_by_role("button", name="Menu")
    await expect(page.get_by_role("link", name="Moderation")).to_have_count(0)
    await menu.click()
    await expect(menu).to_have_attribute("aria-expanded", "true")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Moderation")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(menu).to_be_focused()
    await expect(page.get_by_role("link", name="Moderation")).to_have_count(0)
    await menu.click()
    await page.get_by_role("link", name="Moderation").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Reports")
    await expect(menu).to_have_attribute("aria-expanded", "false")
    visitor = await open_page("/", viewport=PHONE)
    header = await visitor.locator(".top").bounding_box()
    assert header is not None
    assert header["height"] <= 64
    for shown in (page, visitor):
        for width in (320, 360, 390):
            await shown.set_viewport_size({"width": width, "height": 640})
            room = await shown.evaluate(
                """() => {
                    const [field, button] = document.querySelectorAll(".search input, .search button");
                    return button.getBoundingClientRect().left - field.getBoundingClientRect().left;
                }"""
            )
            assert room >= 64, f"{room} pixels to type in, at {width}"


async def test_the_field_for_a_message_stays_in_view_above_the_keyboard(site: Site, open_page: Open) -> None:
    ann, bob = await site.person("Ann", Role.ADMIN), await site.person("Bob")
    for number in range(20):
        await site.rest.call("POST", "/api/messages", 201, who=bob, body={"to": ann.id, "message": f"number {number}"})
    page = await open_page(f"/messages/{bob.id}", ann, viewport=PHONE)
    field = page.get_by_role("textbox", name="Message to")
    await expect(page.locator("[data-message]")).to_have_count(20)
    await field.focus()
    # With a keyboard on the screen, this much of it is left.
    await page.set_viewport_size({"width": 390, "height": 420})
    await expect(field).to_be_in_viewport(ratio=1)
    for selector, most in ((".composer", 420), (".log", 420)):
        box = await page.locator(selector).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= most
        assert box["height"] > 40
    await expect(page.locator(".bottom")).to_be_hidden()
    await expect(page.locator("[data-message]").last).to_be_in_viewport()
    assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")


async def test_what_the_keyboard_focuses_is_not_behind_the_header(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Focused", ann)
    for number in range(12):
        await site.listing(ann, category, f"Car {number}")
    page = await open_page(f"/?category_id={category}", viewport={"width": 1280, "height": 600})
    await expect(page.locator(".card")).to_have_count(12)
    await page.locator(".card a").last.focus()
    for _ in range(11):
        await page.keyboard.press("Shift+Tab")
        hidden = await page.evaluate(
            """() => {
                const [focused, top] = [document.activeElement, document.querySelector(".top")];
                const bottomOf = (element) => element.getBoundingClientRect().bottom;
                return focused.closest("main") && focused.getBoundingClientRect().top < bottomOf(top);
            }"""
        )
        assert not hidden


async def test_a_reload_shows_as_many_cars_at_the_same_place(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Reloaded", ann)
    for number in range(50):
        await site.listing(ann, category, f"Car {number}")
    page = await open_page(f"/?category_id={category}", viewport=PHONE)
    for count in (48, 50):
        await page.get_by_role("button", name="Show more").click()
        await expect(page.locator(".card")).to_have_count(count)
    await page.locator(".card", has_text="Car 9").scroll_into_view_if_needed()
    # The place is noted when the scrolling has ended.
    before = await once(page, "scrollY > 1000 && history.state.scroll === scrollY && scrollY")
    await page.reload()
    await expect(page.locator(".card")).to_have_count(50)
    await once(page, f"Math.abs(scrollY - {before}) < 50")


async def once(page: Page, condition: str) -> Any:
    """Wait until the condition is true on the page, whose policy forbids Playwright's own way, and return its value."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await page.evaluate(
            f"""async () => {{
                while (!({condition})) await new Promise((resolve) => setTimeout(resolve, 50));
                return {condition};
            }}"""
        )


async def test_the_numbers_of_the_weeks_break_no_word_and_scroll_by_themselves(site: Site, open_page: Open) -> None:
    page = await open_page("/moderation", await site.person("Mona", Role.MODERATOR), viewport=PHONE)
    await page.get_by_text("Numbers of the last weeks").click()
    await expect(page.get_by_role("table")).to_be_visible()
    broken = await page.locator("th").evaluate_all(
        """cells => cells.map((cell) => {
            const range = document.createRange();
            range.selectNodeContents(cell);
            const lines = new Set([...range.getClientRects()].map(({ top }) => top)).size;
            const words = cell.scope === "row" ? 1 : cell.textContent.split(" ").length;
            return { text: cell.textContent, lines, words };
        }).filter(({ lines, words }) => lines > words)"""
    )
    assert broken == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
