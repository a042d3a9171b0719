"""axe finds no serious fault on any main view, light and wide or dark and narrow; and the keyboard is enough."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site
from tests.support.client import Person
from tests.support.vendored import PACKAGES

pytestmark = pytest.mark.asyncio(loop_scope="package")

AXE = PACKAGES / "axe-core" / "axe.min.js"
CHECK = """async (rules) => {
    const { violations } = await axe.run({ resultTypes: ["violations"], ...(rules && { runOnly: rules }) });
    return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => [id, ...nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`)]);
}"""
OF_APPEARANCE = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]
"""The rules whose outcome depends on colours and sizes. All others are about the document, which stays the same."""


async def has_no_serious_fault(page: Page, path: str) -> None:
    # Without motion, colours are what they will be at once.
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.goto(path)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.locator("main")).not_to_contain_text("Loading…")
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    await looks_right(page, path, None)
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size({"width": 360, "height": 800})
    await looks_right(page, f"{path}, dark and narrow", OF_APPEARANCE)


async def looks_right(page: Page, what: str, rules: list[str] | None) -> None:
    """Neither a serious fault by these rules, or by all, nor anything wider than the window."""
    faults: list[Any] = await page.evaluate(CHECK, rules)
    assert faults == [], f"{what}: {faults}"
    fits = await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert fits, f"{what} is wider than the window"


async def populated(site: Site) -> tuple[Person, list[str], list[str]]:
    """An admin, the paths of the views for anyone, and the paths of the views for the admin."""
    admin, ann = await site.person("Root", Role.ADMIN), await site.person("Ann")
    category = await site.category("Any", admin)
    listing = await site.listing(ann, category, "A car", make="Honda", year=2010, mileage=90_000, price=5000)
    hidden = await site.listing(ann, category, "A hidden car", visibility="private")
    trashed = await site.listing(ann, category, "A trashed car")
    call = site.rest.call
    await call("POST", f"/api/listings/{listing}/replies", 201, who=admin, body={"text": "Nice"})
    await call("POST", f"/api/listings/{listing}/reports", 201, who=admin, body={"reason": "spam", "text": "Hm"})
    await call("PUT", f"/api/listings/{hidden}/hidden", 200, who=admin, body={"reason": "Looks odd"})
    await call("DELETE", f"/api/listings/{trashed}", 204, who=ann)
    await call("POST", "/api/messages", 201, who=ann, body={"to": admin.id, "message": "Hello", "listing_id": listing})
    await call("POST", "/api/messages", 201, who=admin, body={"to": ann.id, "message": "Hello to you"})
    await call("PUT", f"/api/listings/{listing}/favourite", 204, who=admin)
    await call("POST", "/api/searches", 201, who=admin, body={"name": "Any car", "query": {}})
    for price in (4500, 4000):
        await call("PATCH", f"/api/listings/{listing}", 200, who=ann, body={"price": price})
    await site.told()
    anyone = [
        "/",
        f"/listings/{listing}",
        "/login",
        "/register",
        "/password/forgotten",
        "/password/reset",
        "/address/confirm",
        "/nowhere",
        "/listings/999999999",
    ]
    theirs = [
        "/",
        f"/listings/{hidden}",
        "/listings/new",
        f"/listings/{listing}/edit",
        "/messages",
        f"/messages/{ann.id}",
        "/alerts",
        "/searches",
        "/favourites",
        "/account",
        "/moderation",
        "/moderation/hidden",
        "/moderation/trash",
        "/moderation/categories",
        "/admin",
        "/admin/audit",
    ]
    return admin, anyone, theirs


async def test_no_view_has_a_serious_fault(site: Site, open_page: Open) -> None:
    admin, anyone, theirs = await populated(site)
    # axe puts styles into the page, which the content security policy would stop.
    visitor = await open_page("/", bypass_csp=True)
    for path in anyone:
        await has_no_serious_fault(visitor, path)
    page = await open_page("/", admin, bypass_csp=True)
    for path in theirs:
        await has_no_serious_fault(page, path)


async def test_the_keyboard_is_enough_to_open_a_car_and_use_a_dialog(site: Site, open_page: Open) -> None:
    mod = await site.person("Mona", Role.MODERATOR)
    seller = await site.person("Ann")
    await site.listing(seller, await site.category("Any", mod), "A car for the keyboard")
    page = await open_page("/", mod)
    await expect(page.get_by_role("link", name="A car for the keyboard")).to_be_visible()
    # The modules have taken over the document that the server sent.
    await expect(page.get_by_role("link", name="Mona")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await page.get_by_role("link", name="A car for the keyboard").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    hide = page.get_by_role("button", name="Hide")
    await hide.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("For how long")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(hide).to_be_focused()
