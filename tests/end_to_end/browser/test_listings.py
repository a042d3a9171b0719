"""People find and sell cars: search, filters, pages, pictures and replies."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import FilePayload, Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site, jpeg
from tests.support.client import PASSWORD
from tests.support.database import query

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def titles(page: Page) -> list[str]:
    return await page.locator(".card h2").all_text_contents()


async def test_cars_can_be_searched_filtered_sorted_and_paged(site: Site, open_page: Open) -> None:
    seller = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Pickups", seller)
    for number in range(30):
        more = {"make": "Ford", "model": "F-150", "year": 1990 + number, "price": 1000 + number}
        await site.listing(seller, category, f"Pickup {number}", **more)
    page = await open_page("/")

    await page.get_by_label("Category").select_option(str(category))
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Pickups")
    await expect(page.locator(".card")).to_have_count(24)
    assert (await titles(page))[0] == "Pickup 29"
    await page.get_by_role("button", name="Show more").click()
    await expect(page.locator(".card")).to_have_count(30)

    await page.get_by_label("Sort").select_option("price")
    await expect(page.locator(".card h2").first).to_have_text("Pickup 0")
    await page.get_by_label("Max year").fill("1994")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".card")).to_have_count(5)
    assert page.url.endswith(f"/?sort=price&category_id={category}&year_max=1994")

    # After a visit to a car, the search is still the same.
    await page.get_by_role("link", name="Pickup 3").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Pickup 3")
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    await page.go_back()
    await expect(page.locator(".card")).to_have_count(5)
    await expect(page.get_by_label("Max year")).to_have_value("1994")

    await page.get_by_role("combobox", name="Search cars").fill("pickup 3")
    await page.keyboard.press("Enter")
    await expect(page.locator(".card h2")).to_have_text(["Pickup 3"])
    await page.get_by_role("link", name="Clear").click()
    await expect(page.get_by_label("Max year")).to_have_value("")
    await expect(page.locator(".card").nth(5)).to_be_visible()


async def test_a_seller_sees_when_a_listing_ends_what_has_ended_and_renews_it(site: Site, open_page: Open) -> None:
    seller = await site.person("Ann", Role.MODERATOR)
    car, url = await site.listing(seller, await site.category("Coupes", seller), "My coupe"), site.settings.database_url
    query(url, "UPDATE listings SET expires_at = now() + interval '5 days' - interval '1 minute' WHERE id = %s", car)
    page = await open_page(f"/listings/{car}", seller)
    await expect(page.locator("#ends")).to_have_text("Ends in 5 days.")
    query(url, "UPDATE listings SET expires_at = now() WHERE id = %s", car)
    # The open page notices it by itself.
    await expect(page.locator("#ended-notice")).to_contain_text("This listing has ended")
    await page.goto(f"/?seller_id={seller.id}&status=any")
    await expect(page.locator(".card .flag")).to_have_text(["Ended"])
    await page.locator(".card h2 a").click()
    await page.get_by_role("button", name="Renew").click()
    await expect(page.locator("#ends")).to_have_text("Ends in 60 days.")
    await expect(page.locator("#ended-notice")).to_have_count(0)
    await page.get_by_role("button", name="Renew").click()
    await expect(page.get_by_text("You can renew it again in")).to_be_visible()
    await page.goto("/alerts")
    await expect(page.locator("[data-alert]")).to_contain_text(["My coupe"])


async def test_a_new_user_registers_and_sells_a_car_with_pictures(site: Site, open_page: Open) -> None:
    category = await site.category("Sedans", await site.person("Mona", Role.MODERATOR))
    page = await open_page("/")
    await page.get_by_role("link", name="Register").click()
    await page.get_by_label("Name").fill("Newcomer")
    await page.get_by_label("E-mail address").fill("newcomer@example.com")
    await page.get_by_label("Password").fill("short")
    await page.get_by_role("button", name="Register").click()
    await expect(page.get_by_label("Password")).to_be_focused()
    await expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Register").click()

    await page.get_by_role("link", name="Sell a car").click()
    await page.get_by_label("Title").fill("2015 Honda Civic")
    await page.get_by_label("Category").select_option(str(category))
    await page.get_by_label("Price").fill("9500")
    await page.get_by_label("Description").fill("One owner.\nTwo keys.")
    await page.get_by_label("Add pictures").set_input_files([jpeg("red"), jpeg("green")])
    await expect(page.locator(".upload")).to_have_count(2)
    await page.get_by_role("button", name="Put it online").click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("2015 Honda Civic")
    await expect(page.get_by_text("$9,500")).to_be_visible()
    await expect(page.locator(".thumbnails button")).to_have_count(2)
    main = page.locator(".gallery-main img")
    assert (await main.evaluate("image => image.decode().then(() => image.currentSrc)")).endswith("/medium")
    await page.get_by_role("button", name="Show picture 2").click()
    await expect(page.get_by_alt_text("2015 Honda Civic, picture 2 of 2")).to_be_visible()

    await page.get_by_role("link", name="Edit").click()
    await expect(page.get_by_label("Title")).to_have_value("2015 Honda Civic")
    broken: FilePayload = {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": jpeg("red")["buffer"][:200]}
    await page.get_by_label("Add pictures").set_input_files([broken])
    await expect(page.locator(".upload .fault")).not_to_be_empty()
    await page.get_by_role("button", name="Leave it out").click()
    await page.get_by_role("button", name="Remove picture 1").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page.locator(".picture-list li")).to_have_count(1)
    await page.get_by_label("Price").fill("")
    await page.get_by_label("Location").fill("Portland")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Ask for the price")).to_be_visible()
    await expect(page.get_by_text("Portland")).to_be_visible()


async def test_only_those_who_may_see_a_listing_see_its_pictures(site: Site, open_page: Open) -> None:
    seller = await site.person("Ann", Role.MODERATOR)
    listing = await site.listing(seller, await site.category("Any", seller), "Secret car", visibility="private")
    page = await open_page(f"/listings/{listing}/edit", seller)
    await page.get_by_label("Add pictures").set_input_files([jpeg("blue")])
    await expect(page.locator(".picture-list guarded-picture img")).to_have_attribute("src", re.compile("^blob:"))

    member = await open_page(f"/listings/{listing}", await site.person("Bob"))
    image = member.locator(".gallery-main img")
    await expect(image).to_have_attribute("src", re.compile("^blob:"))
    assert await image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
    # In a list it is fetched in a size that fits there.
    await member.goto("/")
    image = member.locator(".card", has_text="Secret car").locator("guarded-picture img")
    await expect(image).to_have_attribute("src", re.compile("^blob:"))
    assert await image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 480

    visitor = await open_page(f"/listings/{listing}")
    await expect(visitor.get_by_role("heading", level=1)).to_have_text("This listing is not available")


async def test_a_reply_appears_on_an_open_page_and_viewers_are_counted(site: Site, open_page: Open) -> None:
    ann, bob = await site.person("Ann", Role.MODERATOR), await site.person("Bob")
    listing = await site.listing(ann, await site.category("Any", ann), "Replied car")
    anns = await open_page(f"/listings/{listing}", ann, node=0)
    bobs = await open_page(f"/listings/{listing}", bob, node=1)
    await expect(anns.locator("#viewers")).to_have_text("· 1 other person is looking")
    await expect(bobs.get_by_text("here now")).to_be_visible()

    await bobs.get_by_label("Your reply").fill("Nice car")
    await bobs.get_by_role("button", name="Reply").click()
    await expect(bobs.locator("[data-reply] .user-text")).to_have_text(["Nice car"])
    await expect(anns.locator("[data-reply] .user-text")).to_have_text(["Nice car"])
    await expect(anns.locator("#announcer")).to_contain_text("Nice car")
    # The seller is told wherever they are.
    elsewhere = await open_page("/account", ann)
    await elsewhere.get_by_role("link", name="Alerts, 1 new").click()
    await expect(elsewhere.locator("[data-alert]")).to_contain_text("Bob: Nice car")
    await expect(elsewhere.locator("[data-alert]").get_by_role("link")).to_have_text("Replied car")

    asked: list[str] = []
    bobs.on("request", lambda request: asked.append(request.url))
    await site.rest.call("PATCH", f"/api/listings/{listing}", 200, who=ann, body={"price": 4321})
    await expect(bobs.get_by_text("$4,321")).to_be_visible()
    # The new price came over the channel, without a request.
    assert asked == []
    await bobs.close()
    await expect(anns.locator("#viewers")).to_have_count(0)


async def test_a_buyer_writes_to_the_seller_from_the_listing(site: Site, open_page: Open) -> None:
    ann, bob = await site.person("Ann", Role.MODERATOR), await site.person("Bob")
    listing = await site.listing(ann, await site.category("Any", ann), "Asked car", price=9500)
    await site.picture(ann, listing)
    page = await open_page(f"/listings/{listing}")
    await page.get_by_role("link", name="Message the seller").click()
    await page.get_by_label("E-mail address").fill(bob.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Ann")
    car = page.locator(".thread .car-in-brief")
    await expect(car).to_contain_text("Asked car")
    await expect(car.locator(".price")).to_have_text("$9,500")
    await page.get_by_role("textbox", name="Message to Ann").fill("Still there?")
    await page.keyboard.press("Enter")
    await expect(page.locator(".about-car")).to_have_text("About Asked car")
    await expect(page.locator(".conversation-car")).to_have_text("Asked car")

    # The seller sees which of the cars is meant, with its picture, and that it is sold.
    anns = await open_page(f"/messages/{bob.id}", ann)
    car = anns.locator(".thread .car-in-brief")
    await expect(car).to_contain_text("Asked car")
    assert await car.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
    await expect(car.locator(".flag")).to_have_count(0)
    await site.rest.call("PATCH", f"/api/listings/{listing}", 200, who=ann, body={"status": "sold"})
    await anns.reload()
    await expect(car.locator(".flag")).to_have_text("Sold")
    await expect(anns.locator(".conversation-car")).to_have_text("Sold: Asked car")
    await page.locator(".about-car").get_by_role("link", name="Asked car").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Asked car")


async def test_pictures_are_turned_over_by_keys_and_swipes_and_enlarged(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    listing = await site.listing(ann, await site.category("Any", ann), "Shown car")
    for colour in ("red", "green", "blue"):
        await site.picture(ann, listing, colour)
    page = await open_page(f"/listings/{listing}", viewport={"width": 390, "height": 844}, has_touch=True)
    main, count = page.locator(".gallery-main"), page.locator(".gallery-main .gallery-count")
    await expect(count).to_have_text("1 / 3")
    await page.get_by_role("button", name="Next picture").click()
    await expect(count).to_have_text("2 / 3")
    await expect(page.locator("#announcer")).to_have_text("Picture 2 of 3")
    await page.keyboard.press("ArrowRight")
    await expect(count).to_have_text("3 / 3")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Home")
    await expect(main.get_by_alt_text("Shown car, picture 1 of 3")).to_be_visible()
    await swipe(page, ".gallery-main", from_x=300, to_x=100)
    await expect(count).to_have_text("2 / 3")

    await page.get_by_role("button", name="Enlarge picture 2 of 3").press("Enter")
    large = page.get_by_role("dialog", name="Pictures, large")
    await expect(large.get_by_role("button", name="Close")).to_be_focused()
    box = await large.bounding_box()
    assert box == {"x": 0, "y": 0, "width": 390, "height": 844}
    await swipe(page, ".large-picture", from_x=100, to_x=300)
    await expect(large.locator(".gallery-count")).to_have_text("1 / 3")
    await large.get_by_role("button", name="Zoom in").click()
    image = large.locator("img")
    assert await image.evaluate("image => image.getBoundingClientRect().width") == 780
    # A picture that is larger than the window is moved by the finger, not turned over.
    await swipe(page, ".large-picture", from_x=300, to_x=100)
    await expect(large.locator(".gallery-count")).to_have_text("1 / 3")
    await page.keyboard.press("Escape")
    await expect(large).to_have_count(0)
    await expect(page.get_by_role("button", name="Enlarge picture 1 of 3")).to_be_focused()


async def swipe(page: Page, selector: str, *, from_x: int, to_x: int) -> None:
    """A finger that moves across: what browsers tell a page of it, without their own scrolling."""
    await page.locator(selector).evaluate(
        """(element, [from, to]) => {
            const told = (kind, clientX) => element.dispatchEvent(new PointerEvent(kind, {
                clientX, clientY: 200, pointerType: "touch", isPrimary: true, bubbles: true }));
            told("pointerdown", from);
            told("pointerup", to);
        }""",
        [from_x, to_x],
    )
