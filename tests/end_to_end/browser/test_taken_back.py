"""People take back a listing that they deleted: at once, or later from the list of what they deleted."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site
from tests.support.database import query

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_seller_undoes_a_deletion_and_restores_another_listing_from_those_deleted(
    site: Site, open_page: Open
) -> None:
    ann, mona = await site.person("Ann"), await site.person("Mona", Role.MODERATOR)
    doomed, other = await site.category("Doomed", mona), await site.category("Other", mona)
    first, second = [await site.listing(ann, doomed, title) for title in ("Too soon", "Sorely missed")]
    await site.picture(ann, first)
    # Somebody has it open all the time.
    watched = await open_page(f"/listings/{first}", await site.person("Bob"))
    await expect(watched.get_by_role("heading", level=1)).to_have_text("Too soon")
    page = await open_page(f"/listings/{first}", ann)
    await page.get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("dialog")).to_contain_text("For 30 days you can take it back.")
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(watched.get_by_role("heading", level=1)).to_have_text("This listing is not available")
    deleted = await open_page("/listings/deleted", ann)
    await expect(deleted.locator(".rows li guarded-picture img")).to_have_js_property("naturalWidth", 480)
    await page.locator(".notice").get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Too soon")
    await expect(page.locator(".notice")).to_have_text("Your listing is back.")
    # It is there again, and live.
    await expect(watched.get_by_role("heading", level=1)).to_have_text("Too soon")
    await expect(watched.locator("#viewers")).to_contain_text("1 other person")
    await site.rest.call("POST", f"/api/listings/{first}/replies", 201, who=mona, body={"text": "Good."})
    await expect(watched.locator(".reply")).to_contain_text("Good.")
    visitor = await open_page(f"/listings/{first}")
    await expect(visitor.get_by_role("heading", level=1)).to_have_text("Too soon")

    await site.rest.call("DELETE", f"/api/listings/{second}", 204, who=ann)
    await site.rest.call("DELETE", f"/api/categories/{doomed}", 204, who=mona)
    await page.goto(f"/?seller_id={ann.id}&status=any")
    await page.get_by_role("link", name="Deleted listings").click()
    rows = page.locator(".rows li")
    # The other one was deleted with its category, by a moderator.
    await expect(rows).to_have_count(1)
    await rows.get_by_role("button", name="Restore Sorely missed").click()
    await page.get_by_label("Into which category").select_option(str(other))
    await page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sorely missed")
    found = query(site.settings.database_url, "SELECT trashed_at, category_id FROM listings WHERE id = %s", second)
    assert found == [(None, other)]
