"""People save searches, mark favourites, and hear of cars while the page is open."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def is_live(page: Page) -> None:
    await expect(page.locator(".connection[data-state=live]")).to_be_visible()


async def test_a_saved_search_in_one_browser_tells_of_a_car_that_is_offered_in_another(
    site: Site, open_page: Open
) -> None:
    bob, sally = await site.person("Bob"), await site.person("Sally", Role.MODERATOR)
    category = await site.category("Sedans", sally)
    bobs = await open_page("/?q=zagato&price_max=10000", bob, node=1)
    await is_live(bobs)
    await bobs.get_by_role("button", name="Save this search").click()
    await expect(bobs.get_by_text("Saved as “zagato, up to $10,000”")).to_be_visible()
    await expect(bobs.locator(".bell .badge")).to_have_count(0)

    sallys = await open_page("/listings/new", sally, node=0)
    await sallys.get_by_label("Title").fill("A fine Zagato")
    await sallys.get_by_label("Category").select_option(str(category))
    await sallys.get_by_label("Price").fill("9700")
    await sallys.get_by_label("Description").fill("One owner.")
    await sallys.get_by_role("button", name="Put it online").click()
    await expect(sallys.get_by_role("heading", level=1)).to_have_text("A fine Zagato")

    await expect(bobs.locator(".bell .badge")).to_have_text("1")
    await bobs.get_by_role("link", name="Alerts, 1 new").click()
    alert = bobs.locator("[data-alert]")
    await expect(alert).to_have_count(1)
    await expect(alert).to_contain_text("A fine Zagato")
    await expect(alert).to_contain_text("New for zagato, up to $10,000")
    # Opening the list marks all as seen.
    await expect(bobs.locator(".bell .badge")).to_have_count(0)

    # The page stays open, and the price drops.
    await sallys.get_by_role("link", name="Edit").click()
    await sallys.get_by_label("Price").fill("9200")
    await sallys.get_by_role("button", name="Save").click()
    await expect(sallys.locator(".price-tag .price")).to_have_text("$9,200, was $9,700")
    await expect(alert).to_have_count(2)
    await expect(alert.first).to_contain_text("$9,200, was $9,700")
    await alert.first.get_by_role("link", name="A fine Zagato").click()
    await expect(bobs.locator(".price-tag .price")).to_have_text("$9,200, was $9,700")
    await bobs.get_by_text("Earlier prices").click()
    await expect(bobs.locator(".past-prices li")).to_contain_text("$9,700, until")
    await sallys.goto("/")
    await bobs.goto("/?q=zagato")
    await expect(bobs.locator(".card .price")).to_have_text("$9,200, was $9,700")


async def test_saved_searches_are_listed_with_what_is_new_opened_and_deleted(site: Site, open_page: Open) -> None:
    bob, sally = await site.person("Bob"), await site.person("Sally", Role.MODERATOR)
    category = await site.category("Sedans", sally)
    query = {"q": "bizzarrini", "sort": "price"}
    await site.rest.call("POST", "/api/searches", 201, who=bob, body={"name": "Bizzarrini", "query": query})
    page = await open_page("/searches", bob)
    await is_live(page)
    row = page.locator("[data-search]")
    await expect(row).to_have_count(1)
    await expect(row.locator(".badge")).to_have_count(0)
    await site.listing(sally, category, "A Bizzarrini")
    await expect(row.locator(".badge")).to_have_text("1 new")
    await page.reload()
    await expect(row.locator(".badge")).to_have_text("1 new")
    await row.get_by_role("link", name="Bizzarrini").click()
    await expect(page).to_have_url(re.compile(r"/\?q=bizzarrini&sort=price$|/\?sort=price&q=bizzarrini$"))
    await expect(page.locator(".card h2")).to_have_text(["A Bizzarrini"])
    await page.goto("/searches")
    await page.get_by_role("button", name="Delete Bizzarrini").click()
    await expect(row).to_have_count(0)
    await page.goto("/alerts")
    await expect(page.get_by_text("Nothing yet.")).to_be_visible()


async def test_a_heart_makes_a_favourite_and_its_sale_is_told(site: Site, open_page: Open) -> None:
    bob, sally = await site.person("Bob"), await site.person("Sally", Role.MODERATOR)
    category = await site.category("Sedans", sally)
    listing = await site.listing(sally, category, "An Iso Grifo", price=9000)
    page = await open_page(f"/?category_id={category}", bob)
    await is_live(page)
    heart = page.get_by_role("button", name="Favourite: An Iso Grifo")
    await expect(heart).to_have_attribute("aria-pressed", "false")
    await heart.click()
    await expect(heart).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("#announcer")).to_have_text("An Iso Grifo is a favourite.")
    await page.reload()
    await expect(heart).to_have_attribute("aria-pressed", "true")

    await page.goto(f"/listings/{listing}")
    on_page = page.get_by_role("button", name="Favourite")
    await expect(on_page).to_have_attribute("aria-pressed", "true")
    await is_live(page)
    await site.rest.call("PATCH", f"/api/listings/{listing}", 200, who=sally, body={"status": "sold"})
    await expect(page.locator(".price-tag")).to_contain_text("Sold")
    # A live change has what visitors see, and still it is a favourite.
    await expect(on_page).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".bell .badge")).to_have_text("1")
    await page.get_by_role("link", name="Alerts, 1 new").click()
    await expect(page.locator("[data-alert]")).to_contain_text("Sold")

    sallys = await open_page(f"/listings/{listing}", sally)
    await expect(sallys.locator("#favourite-count")).to_have_text("It is a favourite of 1 person.")
    await expect(sallys.get_by_role("button", name="Favourite")).to_have_count(0)

    await page.get_by_role("link", name="Favourites").click()
    await expect(page.locator(".card h2")).to_have_text(["An Iso Grifo"])
    await heart.click()
    await expect(heart).to_have_attribute("aria-pressed", "false")
    await page.reload()
    await expect(page.get_by_text("None yet.")).to_be_visible()
    await site.rest.call("DELETE", f"/api/listings/{listing}", 204, who=sally)


async def test_a_visitor_sees_no_hearts_and_is_led_back_to_the_search_after_the_log_in(
    site: Site, open_page: Open
) -> None:
    sally = await site.person("Sally", Role.MODERATOR)
    await site.listing(sally, await site.category("Sedans", sally), "A Monteverdi")
    page = await open_page("/?q=monteverdi")
    await expect(page.locator(".card")).to_have_count(1)
    await expect(page.locator(".heart")).to_have_count(0)
    await expect(page.locator(".bell")).to_have_count(0)
    link = page.get_by_role("link", name="Save this search")
    assert await link.get_attribute("href") == "/login?next=%2F%3Fq%3Dmonteverdi"
