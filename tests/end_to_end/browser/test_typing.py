"""Keys, wheels and numbers, as people with other input methods, mice and habits use them."""

# ruff: noqa: RUF001 (digits and signs of other scripts are meant)

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site
from tests.support.database import query

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def end_a_composition(page: Page, field: Locator) -> None:
    """Press the Enter that ends a composed word, as Chromium and as Safari report it: the key has the code 229."""
    await field.focus()
    devtools = await page.context.new_cdp_session(page)
    key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229, "text": "\r", "unmodifiedText": "\r"}
    await devtools.send("Input.imeSetComposition", {"text": "とよた", "selectionStart": 3, "selectionEnd": 3})
    await devtools.send("Input.dispatchKeyEvent", {"type": "keyDown", **key})
    await devtools.send("Input.insertText", {"text": "トヨタ"})
    await devtools.send("Input.dispatchKeyEvent", {"type": "keyDown", **key})
    await devtools.send("Input.dispatchKeyEvent", {"type": "keyUp", **key})
    await devtools.detach()


async def test_the_enter_that_ends_a_composition_sends_no_form(site: Site, open_page: Open) -> None:
    admin, bob = await site.person("Ann", Role.ADMIN), await site.person("Bob")
    await site.category("Sedans", admin)
    page = await open_page("/login")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method) if request.method != "GET" else None)
    moves: list[str] = []
    page.on("framenavigated", lambda frame: moves.append(frame.url))
    for path in ("/register", "/login", "/"):
        await page.goto(path)
        await expect(page.locator("#announcer")).to_have_count(1)
        sent.clear()
        moves.clear()
        for field in await page.locator("input:visible:not([type=checkbox])").all():
            await end_a_composition(page, field)
        # The page notes in its entry of the history how far it is scrolled: that changes no address.
        assert (sent, set(moves) - {page.url}) == ([], set()), path
    await expect(page.get_by_role("combobox", name="Search cars")).to_have_value("トヨタ")
    # A plain Enter still searches.
    await page.get_by_role("combobox", name="Search cars").press("Enter")
    await expect(page).to_have_title("Cars: トヨタ · Daveslist")

    page = await open_page("/admin", admin)
    page.on("request", lambda request: sent.append(request.method) if request.method != "GET" else None)
    page.on("framenavigated", lambda frame: moves.append(frame.url))
    moves.clear()
    await end_a_composition(page, page.get_by_label("Name or e-mail address"))
    assert moves == []
    await page.goto("/moderation/categories")
    await page.get_by_role("button", name="Change Sedans").first.click()
    await end_a_composition(page, page.get_by_role("dialog").get_by_label("Name"))
    await page.goto("/account")
    await end_a_composition(page, page.get_by_label("Name", exact=True))
    await page.goto(f"/messages/{bob.id}")
    await end_a_composition(page, page.locator(".composer textarea"))
    await expect(page.locator(".composer textarea")).to_have_value(re.compile("^トヨタ"))
    assert sent == []
    assert not query(site.settings.database_url, "SELECT FROM messages WHERE to_id = %s", bob.id)


async def test_while_a_word_is_composed_no_suggestion_is_taken(site: Site, open_page: Open) -> None:
    page = await open_page("/")
    found = {"data": [{"kind": "make", "text": "Toyota"}]}
    await page.route("**/api/suggestions*", lambda route: route.fulfill(json=found))
    field = page.get_by_role("combobox", name="Search cars")
    await field.press_sequentially("toy")
    await expect(page.get_by_role("option", name="Toyota")).to_be_visible()
    await field.press("ArrowDown")
    await end_a_composition(page, field)
    await expect(page).to_have_title("Used cars · Daveslist")
    await expect(field).not_to_have_value("Toyota")


async def test_numbers_are_typed_as_people_write_them_and_shown_back(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Sedans", ann)
    page = await open_page("/listings/new", ann)
    await page.get_by_label("Title").fill("A car in figures")
    await page.get_by_label("Category").select_option(str(category))
    await page.get_by_label("Description").fill("It drives.")
    typed = {
        "Year": ("２０１５", "2015"),
        "Mileage (mi)": ("85.000 miles", "85,000"),
        "Price ($)": ("$9,500.00", "9,500"),
        "Doors": ("٥", "5"),
        "Power (kW)": ("1’100 kW", "1,100"),
        "Engine size (cc)": ("1 998 cm³", "1,998"),
        "Owners so far": ("2", "2"),
    }
    for label, (text, shown) in typed.items():
        field = page.get_by_label(label)
        await field.fill(text)
        await field.blur()
        await expect(field).to_have_value(shown)
    await page.get_by_label("Price").fill("cheap")
    await page.get_by_role("button", name="Put it online").click()
    await expect(page.get_by_label("Price")).to_be_focused()
    await expect(page.get_by_label("Price")).to_have_attribute("aria-invalid", "true")
    await expect(page.locator("#listing-price-error")).to_have_text("Write it in digits.")
    await page.get_by_label("Price").fill("12 500 €")
    await page.get_by_label("Price").press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("A car in figures")
    stored = await site.rest.call("GET", f"/api/listings/{page.url.rpartition('/')[2]}", 200)
    names = ("year", "mileage", "price", "doors", "power_kw", "engine_cc", "owners")
    assert [stored[name] for name in names] == [2015, 85_000, 12_500, 5, 1100, 1998, 2]

    await page.get_by_role("link", name="Edit").click()
    await expect(page.get_by_label("Price")).to_have_value("12,500")
    await expect(page.get_by_label("Year")).to_have_value("2015")
    await page.goto(f"/?category_id={category}&price_min=12%2C500")
    await expect(page.get_by_label("Min price")).to_have_value("12,500")
    await page.get_by_label("Max price").fill("12.500")
    await page.get_by_label("Max mileage").fill("85k")
    await page.get_by_role("button", name="Apply").click()
    await page.wait_for_url(f"**/?category_id={category}&**price_max=12500**")
    await expect(page.locator(".card h2")).to_have_text(["A car in figures"])
    await expect(page.get_by_label("Max mileage")).to_have_value("85,000")
    await page.get_by_label("Max mileage").fill("85 km")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("#filters-mileage_max-error")).to_have_text("Write it in digits, in mi.")
    assert "mileage_max=85000" in page.url


async def test_the_wheel_over_a_focused_number_scrolls_and_changes_nothing(site: Site, open_page: Open) -> None:
    page = await open_page("/listings/new", await site.person("Ann"))
    for label in ("Price", "Year", "Doors"):
        field = page.get_by_label(label)
        await field.fill("2012")
        await page.evaluate("scrollTo(0, 0)")
        await field.hover()
        await page.evaluate(
            "addEventListener('scroll', () => { document.body.dataset.scrolled = 'yes' }, { once: true })"
        )
        await page.mouse.wheel(0, 300)
        await expect(page.locator("body[data-scrolled]")).to_have_count(1)
        await page.evaluate("delete document.body.dataset.scrolled")
        await expect(field).to_have_value("2012")
