"""Browsers that store nothing, or name no language; text that is pasted; and cars that are printed."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site
from tests.support.client import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="package")

REFUSED = {
    "cookies and site data are blocked": """
        for (const name of ["localStorage", "sessionStorage", "indexedDB"]) {
            const refuse = () => { throw new DOMException("The operation is insecure.", "SecurityError"); };
            Object.defineProperty(window, name, { get: refuse });
        }
    """,
    "there is no room": """
        const refuse = () => { throw new DOMException("There is no room.", "QuotaExceededError"); };
        Storage.prototype.setItem = refuse;
        IDBFactory.prototype.open = refuse;
    """,
}


@pytest.mark.parametrize("script", REFUSED.values(), ids=REFUSED.keys())
async def test_a_browser_that_stores_nothing_can_browse_and_log_in(site: Site, open_page: Open, script: str) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    listing = await site.listing(ann, await site.category("Sedans", ann), "A car for everybody")
    page = await open_page("about:blank")
    await page.context.add_init_script(script)
    await page.goto(f"{site.apis[0].url}/listings/{listing}")
    await expect(page.locator("#announcer")).to_have_count(1)
    await page.get_by_role("link", name="Log in", exact=True).first.click()
    await page.get_by_label("E-mail").fill(ann.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("A car for everybody")
    await page.get_by_role("link", name="Ann", exact=True).first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your account")


async def test_pasted_text_that_is_too_long_is_kept_and_named(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Sedans", ann)
    page = await open_page("/listings/new", ann)
    title, text = "A long title " * 9, "Runs and drives. " * 400
    await page.get_by_label("Category").select_option(str(category))
    for label, pasted in (("Title", title), ("Description", text)):
        await page.get_by_label(label).focus()
        await page.keyboard.insert_text(pasted)
        await expect(page.get_by_label(label)).to_have_value(pasted)
    await page.get_by_role("button", name="Put it online").click()
    await expect(page.locator("#listing-title-error")).to_contain_text("80")
    await expect(page.locator("#listing-content-error")).to_contain_text("5000")
    await page.get_by_label("Title").fill("A car with much to say")
    await page.get_by_label("Description").fill(text[:5000])
    await page.get_by_role("button", name="Put it online").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("A car with much to say")


async def test_a_browser_with_a_language_that_is_none_shows_prices(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    listing = await site.listing(ann, await site.category("Sedans", ann), "A car to read", price=12_500)
    page = await open_page("about:blank")
    await page.context.add_init_script("""
        Object.defineProperty(navigator, "language", { get: () => "en-US@posix" });
        Object.defineProperty(navigator, "languages", { get: () => ["en-US@posix"] });
    """)
    await page.goto(f"{site.apis[0].url}/listings/{listing}")
    await expect(page.locator("#announcer")).to_have_count(1)
    await expect(page.locator(".price").first).to_have_text("$12,500")


async def test_no_field_makes_a_phone_zoom_in(site: Site, open_page: Open) -> None:
    """Safari on phones zooms in on a field whose letters are smaller than 16 pixels, and not out again."""
    ann = await site.person("Ann", Role.ADMIN)
    bob = await site.person("Bob")
    page = await open_page("/", ann, viewport={"width": 390, "height": 844})
    for path in ("/", "/login", "/listings/new", f"/messages/{bob.id}", "/account", "/admin", "/moderation"):
        await page.goto(path)
        await expect(page.locator("#announcer")).to_have_count(1)
        await expect(page.locator("main")).not_to_contain_text("Loading…")
        small = await page.evaluate("""() => [...document.querySelectorAll("input, select, textarea")]
            .filter((one) => !["checkbox", "radio", "file", "hidden", "range"].includes(one.type))
            .map((one) => [one.name || one.id, parseFloat(getComputedStyle(one).fontSize)])
            .filter(([, size]) => size < 16)""")
        assert small == [], path


async def test_a_printed_car_has_no_buttons_and_nothing_covers_it(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    listing = await site.listing(ann, await site.category("Sedans", ann), "A car on paper", price=12_500)
    for colour in ("red", "blue"):
        await site.picture(ann, listing, colour)
    page = await open_page(f"/listings/{listing}")
    await expect(page.locator("#announcer")).to_have_count(1)
    await page.emulate_media(media="print")
    await expect(page.get_by_role("heading", name="A car on paper")).to_be_visible()
    await expect(page.locator(".price").first).to_be_visible()
    pressed = page.locator("button:visible:not(.gallery-open), form:visible, a.button:visible, nav:visible")
    await expect(pressed).to_have_count(0)
    await expect(page.get_by_role("img", name="A car on paper")).to_be_visible()
    stuck = """() => [...document.querySelectorAll("body *")]
        .filter((one) => one.checkVisibility() && ["sticky", "fixed"].includes(getComputedStyle(one).position))
        .map((one) => `${one.localName}.${one.className}`)"""
    assert await page.evaluate(stuck) == []
