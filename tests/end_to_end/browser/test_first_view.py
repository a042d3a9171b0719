"""A page before its modules have come, without them, and when they take over."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, Request, Route, ViewportSize, async_playwright, expect

from shared.domain.users import Role
from tests.end_to_end.browser.chromium import FLAGS, find_chromium
from tests.end_to_end.browser.conftest import Open, Site, logged_in
from tests.support.database import query

pytestmark = pytest.mark.asyncio(loop_scope="package")

SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shifts.push(entry.value);
    }).observe({ type: "layout-shift", buffered: true });
    window.blanks = 0;
    document.addEventListener("DOMContentLoaded", () => {
        const look = () => {
            if (!document.querySelector("#app h1")) window.blanks += 1;
            requestAnimationFrame(look);
        };
        look();
    });
"""


async def a_seller_with_cars(site: Site, count: int = 30) -> tuple[int, int, list[int]]:
    """Returns a seller, a category, and their cars, the newest last."""
    ann, mod = await site.person("Ann"), await site.person("Mod", Role.MODERATOR)
    category = await site.category("Sedans", mod)
    cars = [await site.listing(ann, category, f"Car {number:02}", price=1000 + number) for number in range(count)]
    await site.rest.call("POST", f"/api/listings/{cars[-1]}/replies", 201, who=ann, body={"text": "Nice tyres."})
    return ann.id, category, cars


def api_paths(requests: list[Request]) -> list[str]:
    return [urlsplit(request.url).path for request in requests if urlsplit(request.url).path.startswith("/api/")]


def noted(page: Page) -> list[Request]:
    """The requests of the page from now on."""
    requests: list[Request] = []

    def note(request: Request) -> None:
        requests.append(request)

    page.on("request", note)
    return requests


async def taken_over(page: Page) -> None:
    await expect(page.locator("#announcer")).to_have_count(1)


def make_older(site: Site, cars: list[int]) -> None:
    """The words for their age last longer than the test. "Just now" would become wider meanwhile."""
    query(
        site.settings.database_url,
        "UPDATE listings SET created_at = now() - interval '3 days' WHERE id = ANY (%s)",
        cars,
    )


async def test_without_javascript_one_browses_filters_pages_and_looks_at_a_car(site: Site, chromium: Browser) -> None:
    seller, category, cars = await a_seller_with_cars(site)
    context = await chromium.new_context(base_url=site.apis[0].url, java_script_enabled=False)
    try:
        page = await context.new_page()
        await page.goto(f"/?category_id={category}")
        await expect(page.locator(".card h2 a")).to_have_count(24)
        await expect(page.locator(".card h2 a").first).to_have_text("Car 29")
        await page.get_by_role("link", name="Show more").click()
        await expect(page.locator(".card h2 a")).to_have_text([f"Car {number:02}" for number in range(5, -1, -1)])
        await page.goto(f"/?category_id={category}")
        await page.get_by_label("Max price").fill("1002")
        await page.get_by_role("button", name="Apply").click()
        await expect(page.locator(".card h2 a")).to_have_text(["Car 02", "Car 01", "Car 00"])
        await page.locator("select[name=sort]").select_option("price")
        await page.get_by_role("button", name="Sort").click()
        await expect(page.locator(".card h2 a")).to_have_text(["Car 00", "Car 01", "Car 02"])
        await page.get_by_role("link", name="Car 00").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Car 00")
        await expect(page.locator(".user-text").first).to_have_text("All about Car 00.")
        await page.get_by_role("link", name="Ann").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Cars of Ann")
        assert urlsplit(page.url).query == f"seller_id={seller}"
        await page.get_by_role("searchbox").fill(f"Car {cars[0]}9999")
        await page.get_by_role("searchbox").press("Enter")
        await expect(page.locator(".empty, .card").first).to_be_visible()
        await page.goto("/listings/999999999")
        await expect(page.get_by_role("heading", level=1)).to_have_text("This listing is not available")
        await page.get_by_role("link", name="See all cars").click()
        await expect(page.locator(".card").first).to_be_visible()
    finally:
        await context.close()


async def test_the_modules_take_over_without_asking_again_and_without_a_flash(site: Site, open_page: Open) -> None:
    seller, category, cars = await a_seller_with_cars(site)
    for path, heading in (
        (f"/?category_id={category}", "Sedans"),
        (f"/?seller_id={seller}&sort=price", "Cars of Ann"),
        (f"/listings/{cars[-1]}", "Car 29"),
        ("/listings/999999999", "This listing is not available"),
    ):
        page = await open_page("/login")
        requests = noted(page)
        await page.add_init_script(SHIFTS)
        await page.goto(path)
        await taken_over(page)
        await expect(page.get_by_role("heading", level=1)).to_contain_text(heading)
        await page.wait_for_load_state("networkidle")
        # The counts beside the filters are not in the server's page.
        others = ("/api/pictures", "/api/listings/facets")
        asked = [one for one in api_paths(requests) if not one.startswith(others)]
        assert asked == [], f"{path} asked {asked}"
        assert await page.evaluate("window.blanks") == 0, path
        assert sum(await page.evaluate("window.shifts")) < 0.01, path


async def test_a_picture_is_asked_for_once_and_in_the_size_that_fits_the_screen(site: Site, chromium: Browser) -> None:
    ann, mod = await site.person("Ann"), await site.person("Mod", Role.MODERATOR)
    category = await site.category("Sedans", mod)
    cars = [await site.listing(ann, category, f"Car {number}") for number in range(2)]
    for car in cars:
        await site.picture(ann, car, width=1600)
    make_older(site, cars)
    for width, height, scale, in_list, in_gallery in (
        (390, 844, 2, "thumbnail", "medium"),
        (390, 844, 3, "thumbnail", "medium"),
        (1350, 940, 1, "thumbnail", "medium"),
        (1350, 940, 2, "medium", ""),
    ):
        context = await chromium.new_context(
            base_url=site.apis[0].url, viewport={"width": width, "height": height}, device_scale_factor=scale
        )
        for path, images, size in (
            (f"/?category_id={category}", ".card img", in_list),
            (f"/listings/{cars[0]}", ".gallery-main img", in_gallery),
        ):
            page = await context.new_page()
            await page.add_init_script(SHIFTS)
            requests = noted(page)
            before = await page_of_the_server(page, path, images)
            await taken_over(page)
            await page.wait_for_load_state("networkidle")
            # The modules draw the same images, so that no browser chooses again.
            assert await page.eval_on_selector_all(images, ATTRIBUTES) == before
            asked = [one for one in api_paths(requests) if one.startswith("/api/pictures/")]
            assert len(set(asked)) == len(asked), asked
            sizes = [one.partition("/api/pictures/")[2].partition("/")[2] for one in asked]
            assert sizes == [size] * len(before), (width, scale, path)
            assert sum(await page.evaluate("window.shifts")) < 0.001, path
        await context.close()


ATTRIBUTES = """images => images.map((image) => Object.fromEntries(
    [...image.attributes].map(({ name, value }) => [name, value])))"""


async def page_of_the_server(page: Page, path: str, images: str) -> list[dict[str, str]]:
    """Open a page. Returns the attributes of these images before the modules take over."""
    release = await held(page, "**/all.js")
    await page.goto(path, wait_until="commit")
    await page.locator("footer.bottom").wait_for()
    found: list[dict[str, str]] = await page.eval_on_selector_all(images, ATTRIBUTES)
    await release()
    return found


async def test_nothing_moves_beside_a_scrollbar_that_takes_room(site: Site) -> None:
    ann, mod = await site.person("Ann"), await site.person("Mod", Role.MODERATOR)
    category = await site.category("Sedans", mod)
    cars = [await site.listing(ann, category, f"Car {number}") for number in range(12)]
    make_older(site, cars)
    url = site.apis[0].url
    async with async_playwright() as playwright:
        # Playwright hides scrollbars, unless it is told not to.
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(), args=FLAGS, ignore_default_args=["--hide-scrollbars"]
        )
        for person, paths in (
            (None, ["/", f"/listings/{cars[0]}", "/login"]),
            (ann, ["/", f"/listings/{cars[0]}", "/account", "/alerts", "/listings/new", "/messages"]),
        ):
            state = logged_in(person, Role.USER, url) if person else None
            size: ViewportSize = {"width": 1350, "height": 940}
            context = await browser.new_context(base_url=url, storage_state=state, viewport=size)
            page = await context.new_page()
            await page.add_init_script(SHIFTS)
            for path in paths:
                await page.goto(path)
                await taken_over(page)
                await expect(page.get_by_role("heading", level=1)).to_be_visible()
                await page.wait_for_load_state("networkidle")
                assert await page.evaluate("innerWidth > document.documentElement.clientWidth"), "no scrollbar"
                # What a visitor sees is in the document; some views of one's own come in parts.
                assert sum(await page.evaluate("window.shifts")) < (0.01 if person else 0.001), path
        await browser.close()


async def test_what_was_typed_ticked_and_opened_before_the_modules_came_stays(site: Site, open_page: Open) -> None:
    await a_seller_with_cars(site, 1)
    page = await open_page("/login", viewport={"width": 390, "height": 844})
    release = await held(page, "**/all.js")
    await page.goto("/", wait_until="commit")
    await page.get_by_role("searchbox").fill("golf gti")
    await page.locator(".filters > summary").click()
    await page.locator(".facet > summary", has_text="Fuel").click()
    for fuel in ("Diesel", "Hydrogen"):
        await page.get_by_label(fuel).check()
    await page.get_by_label("Make").fill("Trabant")
    await page.get_by_label("Status").select_option("any")
    await page.get_by_label("Max mileage").fill("90000")
    await page.evaluate("scrollTo(0, 300)")
    async with page.expect_response("**/api/listings/facets*"):
        await release()
    await taken_over(page)
    await expect(page.get_by_label("Max mileage")).to_have_value("90000")
    await expect(page.get_by_label("Max mileage")).to_be_focused()
    await expect(page.locator("[name=q]")).to_have_value("golf gti")
    await expect(page.get_by_label("Status")).to_have_value("any")
    await expect(page.get_by_label("Make")).to_have_value("Trabant")
    # Also when the boxes have got their counts, and are others.
    await expect(page.locator(".box .count").first).to_be_visible()
    for fuel in ("Diesel", "Hydrogen"):
        await expect(page.get_by_label(fuel)).to_be_checked()
    await expect(page.locator(".facet input:checked")).to_have_count(2)
    assert await page.evaluate("scrollY") == 300
    await page.get_by_label("Max mileage").press("Enter")
    await expect(page).to_have_url(re.compile(r"/\?make=Trabant&mileage_max=90000&fuel=diesel%2Chydrogen&status=any$"))


async def test_an_order_chosen_before_the_modules_came_is_that_of_the_list(site: Site, open_page: Open) -> None:
    _, category, _ = await a_seller_with_cars(site, 3)
    page = await open_page("/login")
    release = await held(page, "**/all.js")
    await page.goto(f"/?category_id={category}", wait_until="commit")
    await page.get_by_label("Sort").select_option("price")
    await release()
    await expect(page.locator(".card h2")).to_have_text(["Car 00", "Car 01", "Car 02"])
    await expect(page.get_by_label("Sort")).to_have_value("price")


async def test_what_is_for_visitors_leads_somebody_who_is_logged_in_back(site: Site, open_page: Open) -> None:
    bob = await site.person("Bob")
    _, category, [car] = await a_seller_with_cars(site, 1)
    page = await open_page("/login", bob)
    await expect(page).to_have_url(re.compile(r"/$"))
    search, listing = f"/?category_id={category}", f"/listings/{car}"
    release = await held(page, "**/all.js")
    # Every link to a log-in that the server has rendered, pressed before the modules have come.
    for path, back in ((search, search), (listing, listing), ("/nowhere", "/")):
        await page.goto(path, wait_until="commit")
        links = page.locator("a[href^='/login'], a[href^='/register']")
        await expect(links.first).to_be_visible()
        for number in range(await links.count()):
            await page.goto(path, wait_until="commit")
            await links.nth(number).evaluate("(link) => link.click()")
            await expect(page).to_have_url(re.compile("/(login|register)"))
            await release()
            await expect(page.get_by_role("link", name="Bob")).to_be_visible()
            await expect(page).to_have_url(re.compile(f"{re.escape(back)}$"))
            release = await held(page, "**/all.js")
    await release()
    await page.goto(search)
    await page.get_by_role("button", name="Save this search").click()
    await expect(page.get_by_text("You will be told of each new car like these.")).to_be_visible()


@pytest.mark.parametrize("what", ["link", "box"])
async def test_what_has_the_focus_keeps_it_when_the_modules_take_over_for_somebody_logged_in(
    site: Site, open_page: Open, what: str
) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    await site.listing(ann, await site.category("Sedans", ann), "A car", fuel="diesel")
    page = await open_page("/login", await site.person("Bob"))
    release = await held(page, "**/all.js")
    await page.goto("/", wait_until="commit")
    if what == "link":
        await page.get_by_role("link", name="Save this search").focus()
        await release()
        await expect(page.get_by_role("button", name="Save this search")).to_be_focused()
    else:
        await page.locator(".facet > summary", has_text="Fuel").click()
        await page.get_by_label("Electric").focus()
        await release()
        await expect(page.locator(".box .count").first).to_be_visible()
        await expect(page.get_by_label("Electric")).to_be_focused()


async def test_a_link_that_has_the_focus_keeps_it_when_the_modules_take_over(site: Site, open_page: Open) -> None:
    await a_seller_with_cars(site, 1)
    page = await open_page("/login")
    release = await held(page, "**/all.js")
    await page.goto("/", wait_until="commit")
    await page.get_by_role("link", name="Car 00").first.focus()
    await release()
    await taken_over(page)
    await expect(page.get_by_role("link", name="Car 00").first).to_be_focused()


async def test_the_content_stays_while_the_modules_load_for_somebody_who_is_logged_in(
    site: Site, open_page: Open
) -> None:
    ann, mod = await site.person("Ann"), await site.person("Mod", Role.MODERATOR)
    category = await site.category("Sedans", mod)
    private = await site.listing(ann, category, "For members", visibility="private")
    public = await site.listing(ann, category, "For everybody")
    page = await open_page(f"/?category_id={category}", ann)
    await expect(page.locator(".card h2 a")).to_have_text(["For everybody", "For members"])
    await page.goto(f"/listings/{private}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("For members")
    release = await held(page, f"**/api/listings/{public}")
    await page.goto(f"/listings/{public}")
    # The server's content stays until the answer for this person is there.
    await expect(page.get_by_role("heading", level=1)).to_have_text("For everybody")
    assert await page.locator("#announcer").count() == 0
    await release()
    await taken_over(page)
    await expect(page.get_by_text("This is your listing.")).to_be_visible()


async def test_going_back_shows_the_cars_as_they_are_now(site: Site, open_page: Open) -> None:
    ann, mod = await site.person("Ann"), await site.person("Mod", Role.MODERATOR)
    category = await site.category("Sedans", mod)
    listing = await site.listing(ann, category, "Before")
    page = await open_page(f"/listings/{listing}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Before")
    await page.goto("/api/docs")
    await site.rest.call("PATCH", f"/api/listings/{listing}", 200, who=ann, body={"title": "After"})
    await page.go_back()
    await expect(page.get_by_role("heading", level=1)).to_have_text("After")


async def held(page: Page, pattern: str) -> Callable[[], Awaitable[None]]:
    """Hold every request for the pattern until the returned function is called."""
    let_go = asyncio.Event()

    async def hold(route: Route) -> None:
        await let_go.wait()
        await route.continue_()

    await page.route(pattern, hold)

    async def release() -> None:
        let_go.set()

    return release
