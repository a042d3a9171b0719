"""Two tabs that edit one listing do not overwrite each other."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def two_tabs(site: Site, open_page: Open) -> tuple[Page, Page, str]:
    """Two tabs that show the form of one listing, and its address in the API."""
    ann = await site.person("Ann", Role.MODERATOR)
    listing = await site.listing(ann, await site.category("Vans", ann), "A van", price=9000, colour="red")
    tabs = await open_page(f"/listings/{listing}/edit", ann), await open_page(f"/listings/{listing}/edit", ann, node=1)
    for tab in tabs:
        await expect(tab.get_by_label("Title")).to_have_value("A van")
    return *tabs, f"/api/listings/{listing}"


async def save(tab: Page) -> None:
    await tab.get_by_role("button", name="Save").click()


async def saved(tab: Page) -> None:
    await expect(tab.get_by_text("Saved.")).to_be_visible()


async def test_changes_of_different_fields_are_both_kept(site: Site, open_page: Open) -> None:
    first, second, address = await two_tabs(site, open_page)
    await first.get_by_label("Price").fill("8000")
    await save(first)
    await saved(first)
    await second.get_by_label("Title").fill("A red van")
    async with second.expect_request(lambda request: request.method == "PATCH") as sent:
        await save(second)
    assert (await sent.value).post_data_json == {"title": "A red van"}
    await saved(second)
    listing = await site.rest.call("GET", address, 200)
    assert (listing["title"], listing["price"], listing["colour"]) == ("A red van", 8000, "red")


@pytest.mark.parametrize(("kept", "price", "title"), [("Yours", 7000, "Mine"), ("The other", 8000, "Mine")])
async def test_a_field_that_both_changed_is_shown_with_both_values_to_choose(
    site: Site, open_page: Open, kept: str, price: int, title: str
) -> None:
    first, second, address = await two_tabs(site, open_page)
    await first.get_by_label("Price").fill("8000")
    await save(first)
    await saved(first)
    await second.get_by_label("Price").fill("7000")
    await second.get_by_label("Title").fill(title)
    await save(second)
    choice = second.get_by_role("group", name="Price")
    await expect(choice.get_by_label("Yours: 7000")).to_be_checked()
    await expect(choice.get_by_label("The other: 8000")).to_be_visible()
    assert (await site.rest.call("GET", address, 200))["price"] == 8000
    await choice.get_by_label(kept).check()
    await save(second)
    await saved(second)
    listing = await site.rest.call("GET", address, 200)
    assert (listing["title"], listing["price"]) == (title, price)
