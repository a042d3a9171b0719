"""The page on the screen of a phone."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site

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
