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


async def test_a_category_that_was_renamed_elsewhere_is_not_renamed_unseen(site: Site, open_page: Open) -> None:
    mona = await site.person("Mona", Role.MODERATOR)
    category = await site.category("Wagons", mona)
    page = await open_page("/moderation/categories", mona)
    name = (await site.rest.call("GET", f"/api/categories/{category}", 200))["name"]
    await page.get_by_role("button", name=f"Change {name}").click()
    form = page.locator("dialog[open]")
    await expect(form.get_by_label("Name")).to_have_value(name)
    await site.rest.call("PATCH", f"/api/categories/{category}", 200, who=mona, body={"name": f"{name} theirs"})
    await form.get_by_label("Name").fill(f"{name} mine")
    await form.get_by_role("button", name="Save").click()
    await expect(form.get_by_role("alert")).to_contain_text(f"{name} theirs")
    await expect(form.get_by_label("Name")).to_have_value(f"{name} mine")
    assert (await site.rest.call("GET", f"/api/categories/{category}", 200))["name"] == f"{name} theirs"
    await form.get_by_role("button", name="Save").click()
    await expect(form).to_have_count(0)
    assert (await site.rest.call("GET", f"/api/categories/{category}", 200))["name"] == f"{name} mine"


async def test_a_profile_that_was_changed_on_another_device_is_not_changed_unseen(site: Site, open_page: Open) -> None:
    bob = await site.person("Bob")
    page = await open_page("/account", bob)
    await page.get_by_label("Name").fill("Bobby")
    await site.rest.call("PATCH", "/api/me", 200, who=bob, body={"name": "Robert"})
    await page.locator("#profile button").click()
    await expect(page.locator("#profile [role=alert]")).to_contain_text("Robert")
    assert (await site.rest.call("GET", "/api/me", 200, who=bob))["name"] == "Robert"
    await page.locator("#profile button").click()
    await expect(page.locator("#profile .done")).to_have_text("Saved.")
    assert (await site.rest.call("GET", "/api/me", 200, who=bob))["name"] == "Bobby"
    # It was said of what is over as soon as something else is done.
    async with page.expect_download():
        await page.get_by_role("button", name="Download your data").click()
    await expect(page.get_by_text("It is among your downloads.")).to_be_visible()
    await expect(page.locator("#profile .done")).to_have_text("")
