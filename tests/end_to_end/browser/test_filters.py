"""The filters of the page: counts beside them, lists of makes and models, and a place."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def titles(page: Page) -> list[str]:
    return await page.locator(".card h2").all_text_contents()


async def test_filters_show_how_many_cars_there_are_and_take_several_values(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Counted", ann)
    for brand, name, fuel in (
        ("Audi", "A3", "diesel"),
        ("Audi", "A4", "gasoline"),
        ("Audi", "A4", "electric"),
        ("Volvo", "V70", "diesel"),
    ):
        await site.listing(ann, category, f"{brand} {name} {fuel}", make=brand, model=name, fuel=fuel)
    hidden = await site.listing(ann, category, "Hidden", make="Audi", model="A3", fuel="diesel")
    await site.rest.call("PUT", f"/api/listings/{hidden}/hidden", 200, who=ann, body={})

    page = await open_page(f"/?category_id={category}")
    make, model = page.get_by_label("Make"), page.get_by_label("Model", exact=True)
    await expect(make.locator("option")).to_have_text(["All makes", "Audi (3)", "Volvo (1)"])
    await make.select_option("Audi")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".card")).to_have_count(3)
    # The other makes are still there to be chosen; the models are those of this make.
    await expect(make.locator("option")).to_have_text(["All makes", "Audi (3)", "Volvo (1)"])
    await expect(model.locator("option")).to_have_text(["All models", "A4 (2)", "A3 (1)"])

    await page.locator("summary", has_text="Fuel").click()
    fuels = page.locator("details.facet", has_text="Fuel")
    await expect(fuels.locator(".count")).to_have_text(["1 cars", "1 cars", "1 cars"])
    await fuels.get_by_label("Diesel").check()
    await fuels.get_by_label("Electric").check()
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".card")).to_have_count(2)
    assert sorted(await titles(page)) == ["Audi A3 diesel", "Audi A4 electric"]
    assert page.url.endswith("&make=Audi&fuel=diesel%2Celectric")
    # A shared address shows the same search.
    other = await open_page(page.url.removeprefix(site.apis[0].url))
    await expect(other.locator(".card")).to_have_count(2)
    await expect(other.get_by_label("Diesel")).to_be_checked()
    await expect(other.get_by_label("Gasoline")).not_to_be_checked()
    await expect(other.get_by_label("Make")).to_have_value("Audi")


async def test_a_place_is_asked_for_remembered_and_shown_on_the_cards(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Placed", ann)
    for town in ("Dallas, TX", "Austin, TX", "San Antonio, TX"):
        await site.listing(ann, category, f"A car in {town}", location=town)
    page = await open_page(f"/?category_id={category}")
    await expect(page.locator(".card")).to_have_count(3)
    await page.get_by_label("Near", exact=True).fill("Nowhere-on-Sea")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_label("Near", exact=True)).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Near", exact=True).fill("Austin")
    await page.get_by_label("Within").select_option("100mi")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".card")).to_have_count(2)
    await page.get_by_label("Sort").select_option("distance")
    await expect(page.locator(".card h2").first).to_have_text("A car in Austin, TX")
    assert await titles(page) == ["A car in Austin, TX", "A car in San Antonio, TX"]
    await expect(page.locator(".card", has_text="San Antonio")).to_contain_text("74 mi away")

    # The next search begins with this place, and another browser knows nothing of it.
    await page.goto("/")
    await expect(page.get_by_label("Near", exact=True)).to_have_value("Austin")
    await expect(page.get_by_label("Within")).to_have_value("100mi")
    assert "near" not in page.url
    stranger = await open_page("/")
    await expect(stranger.get_by_label("Near", exact=True)).to_have_value("")

    await page.get_by_label("Near", exact=True).fill("")
    await page.get_by_role("button", name="Apply").click()
    await page.goto(f"/?category_id={category}")
    await expect(page.get_by_label("Near", exact=True)).to_have_value("")
    await expect(page.locator(".card")).to_have_count(3)
    await expect(page.get_by_label("Sort").locator("option[value=distance]")).to_have_count(0)


async def test_the_browsers_location_is_asked_for_only_when_the_person_presses_the_button(
    site: Site, open_page: Open
) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Located", ann)
    await site.listing(ann, category, "A car in Berlin", location="Berlin")
    place = {"latitude": 52.52437, "longitude": 13.41053}
    page = await open_page("/", geolocation=place, permissions=["geolocation"])
    await page.evaluate("""() => {
        window.asked = 0;
        const ask = navigator.geolocation.getCurrentPosition.bind(navigator.geolocation);
        navigator.geolocation.getCurrentPosition = (...given) => { window.asked += 1; ask(...given); };
    }""")
    await page.get_by_label("Category").select_option(str(category))
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".card")).to_have_count(1)
    assert await page.evaluate("window.asked") == 0
    await page.get_by_role("button", name="Use my location").click()
    # About a kilometre is near enough.
    await expect(page.get_by_label("Near", exact=True)).to_have_value("52.52,13.41")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".card")).to_contain_text("0 mi away")

    refusing = await open_page("/", permissions=[])
    await refusing.get_by_role("button", name="Use my location").click()
    await expect(refusing.locator(".place [role=status]")).to_contain_text("not known")
