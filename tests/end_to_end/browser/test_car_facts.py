"""The facts of a car on the page: in the form of its seller, and on the page of the listing."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

VIN = "1HGCM82633A004352"


async def test_a_seller_chooses_the_facts_and_a_buyer_reads_them(site: Site, open_page: Open) -> None:
    ann, bob = await site.person("Ann", Role.MODERATOR), await site.person("Bob")
    category = await site.category("Sedans", ann)
    page = await open_page("/listings/new", ann)
    await page.get_by_label("Title").fill("A car with facts")
    await page.get_by_label("Category").select_option(str(category))
    await page.get_by_label("Fuel").select_option("plug_in_hybrid")
    await page.get_by_label("Body").select_option(label="SUV")
    await page.get_by_label("Power (kW)").fill("100")
    await page.get_by_label("Owners so far").fill("0")
    await page.get_by_label("Condition").select_option(label="Like new")
    await page.get_by_label("Description").fill("It drives.")
    # A number is often pasted with blanks.
    await page.get_by_label("VIN").fill(f" {VIN[:9].lower()} {VIN[9:]} ")
    await page.get_by_label("Description").focus()
    await expect(page.locator(".vin-told")).to_contain_text("The check digit is right.")
    await page.get_by_role("button", name="Use this").click()
    await expect(page.get_by_label("Make")).to_have_value("Honda")
    await expect(page.get_by_label("Year")).to_have_value("2003")
    await page.get_by_label("VIN").fill("1HGCM82643A004352")
    await page.get_by_label("Description").focus()
    await expect(page.locator(".vin-told")).to_contain_text("not right")
    await page.get_by_role("button", name="Put it online").click()

    facts = page.locator(".facts")
    await expect(facts).to_contain_text("Plug-in hybrid")
    for words in ("SUV", "100 kW (134 hp)", "Like new", "Honda", "1HGCM82643A004352"):
        await expect(facts).to_contain_text(words)
    await expect(facts.locator("div", has_text="Owners so far").locator("dd")).to_have_text("0")

    listing = page.url.rpartition("/")[2]
    visitor = await open_page(f"/listings/{listing}")
    await expect(visitor.locator(".facts")).to_contain_text("Log in to see it")
    assert "1HGCM82643A004352" not in await visitor.content()
    member = await open_page(f"/listings/{listing}", bob)
    await expect(member.locator(".facts")).to_contain_text("1HGCM82643A004352")
    # A change that comes over the channel does not take the number from the page.
    await site.rest.call("PATCH", f"/api/listings/{listing}", 200, who=ann, body={"price": 4321})
    await expect(member.get_by_text("$4,321")).to_be_visible()
    await expect(member.locator(".facts")).to_contain_text("1HGCM82643A004352")

    await page.get_by_role("link", name="Edit").click()
    await expect(page.get_by_label("Fuel")).to_have_value("plug_in_hybrid")
    await page.get_by_label("Fuel").select_option(label="Not said")
    await page.get_by_role("button", name="Save").click()
    await expect(facts).to_contain_text("SUV")
    await expect(facts).not_to_contain_text("hybrid")


async def test_a_moderator_is_told_who_else_offers_the_car(site: Site, open_page: Open) -> None:
    ann, bob = await site.person("Ann", Role.MODERATOR), await site.person("Bob")
    category = await site.category("Sedans", ann)
    vin = "WVWZZZ1JZ3W386752"
    first = await site.listing(ann, category, "The car", vin=vin)
    second = await site.listing(bob, category, "The same car", vin=vin)
    page = await open_page(f"/listings/{first}", ann)
    await page.locator("#same-car").get_by_role("link", name=f"listing {second}").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("The same car")
    member = await open_page(f"/listings/{first}", bob)
    await expect(member.locator(".facts")).to_contain_text(vin)
    await expect(member.locator("#same-car")).to_have_count(0)
