"""Pictures of a car that somebody sells: chosen, seen at once, put in order, made smaller, uploaded, and removed."""

from __future__ import annotations

import asyncio
import base64
import re
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import FilePayload, Page, Request, Route, expect

from shared.domain.users import Role
from tests.api.pictures.samples import encoded, quarters, turned_by
from tests.end_to_end.browser.conftest import Open, Site, jpeg
from tests.support.client import Person

pytestmark = pytest.mark.asyncio(loop_scope="package")

COLOURS = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
ITEMS = ".picture-list li"


async def sell(open_page: Open, site: Site, who: Person) -> Page:
    """A form that is filled in but for its pictures."""
    category = await site.category("Sedans", await site.person("Mona", Role.MODERATOR))
    page = await open_page("/listings/new", who)
    await page.get_by_label("Title").fill("Well seen")
    await page.get_by_label("Category").select_option(str(category))
    await page.get_by_label("Description").fill("Red.")
    return page


async def colours(page: Page, listing: int) -> list[str]:
    """The colours of the listing's pictures, in their order."""
    found = []
    for one in (await (await page.request.get(f"/api/listings/{listing}")).json())["pictures"]:
        data = await (await page.request.get(one["thumbnail_url"])).body()
        pixel: Any = Image.open(BytesIO(data)).convert("RGB").getpixel((5, 5))
        found.append(min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], pixel, strict=True))))
    return found


def listing_of(page: Page) -> int:
    found = re.search(r"/listings/(\d+)", page.url)
    assert found is not None
    return int(found[1])


async def test_pictures_are_put_in_order_before_and_after_the_listing_is_online(site: Site, open_page: Open) -> None:
    page = await sell(open_page, site, await site.person("Ann"))
    await page.get_by_label("Add pictures").set_input_files([jpeg("red"), jpeg("green"), jpeg("blue")])
    # They are seen at once.
    for number in (1, 2, 3):
        image = page.get_by_alt_text(f"Picture {number}")
        assert await image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
    await page.get_by_role("button", name="Make cover picture 3").click()
    await expect(page.locator("#announcer")).to_have_text("It is the cover now.")
    await expect(page.locator(ITEMS).first).to_contain_text("blue.jpg")
    await expect(page.locator(ITEMS).first).to_contain_text("Cover")
    # By keyboard: the focus stays on the button, or goes to its neighbour at the end.
    await page.get_by_role("button", name="Move right picture 1").press("Enter")
    await expect(page.get_by_role("button", name="Move right picture 2")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Move left picture 3")).to_be_focused()
    await page.get_by_role("button", name="Put it online").click()
    await expect(page.locator(".gallery-main img")).to_be_visible()
    listing = listing_of(page)
    assert await colours(page, listing) == ["red", "green", "blue"]

    await page.goto(f"/listings/{listing}/edit")
    items = page.locator(ITEMS)
    await expect(items).to_have_count(3)
    async with page.expect_response(re.compile("/pictures/order$")) as arranged:
        await items.nth(2).drag_to(items.nth(0))
    assert (await arranged.value).status == 200
    assert await colours(page, listing) == ["blue", "red", "green"]
    async with page.expect_response(re.compile("/pictures$")):
        await page.get_by_label("Add pictures").set_input_files([jpeg("white")])
    await expect(page.get_by_role("button", name="Remove picture 4")).to_be_visible()
    async with page.expect_response(re.compile("/pictures/order$")):
        await page.get_by_role("button", name="Move left picture 4").click()
    assert await colours(page, listing) == ["blue", "red", "white", "green"]


async def test_two_pictures_are_on_their_way_at_once_and_a_token_that_ended_is_renewed(
    site: Site, open_page: Open
) -> None:
    ann = await site.person("Ann")
    page = await sell(open_page, site, ann)
    both, begun, keys = asyncio.Event(), 0, list[str]()

    async def on_the_way(route: Route, request: Request) -> None:
        nonlocal begun
        begun += 1
        keys.append(request.headers["idempotency-key"])
        if begun >= 2:
            both.set()
        # None goes on before two have begun.
        await both.wait()
        if begun == 2 and len(keys) == 2 and keys[1] == request.headers["idempotency-key"]:
            body = '{"type": "/problems/unauthorized", "title": "The token has expired", "status": 401}'
            await route.fulfill(status=401, content_type="application/problem+json", body=body)
        else:
            await route.continue_()

    await page.route(re.compile(r"/api/listings/\d+/pictures$"), on_the_way)
    await page.get_by_label("Add pictures").set_input_files([jpeg("red"), jpeg("green"), jpeg("blue")])
    await expect(page.locator(".upload")).to_have_count(3)
    await page.get_by_role("button", name="Put it online").click()
    await expect(page.get_by_text("Your listing is online.")).to_be_visible()
    assert await colours(page, listing_of(page)) == ["red", "green", "blue"]
    assert (len(keys), len(set(keys))) == (4, 3)


async def test_pictures_keep_their_order_although_the_answers_to_two_uploads_cross(site: Site, open_page: Open) -> None:
    page = await sell(open_page, site, await site.person("Ann"))
    stored, answered, begun = asyncio.Event(), asyncio.Event(), 0

    async def crossing(route: Route) -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            # The first one chosen is stored last, and its answer comes first.
            await stored.wait()
            await route.fulfill(response=await route.fetch())
            await expect(page.locator("#announcer")).to_contain_text("red.jpg is uploaded")
            answered.set()
        else:
            response = await route.fetch()
            stored.set()
            await answered.wait()
            await route.fulfill(response=response)

    await page.route(re.compile(r"/api/listings/\d+/pictures$"), crossing)
    await page.get_by_label("Add pictures").set_input_files([jpeg("red"), jpeg("green")])
    await expect(page.locator(".upload")).to_have_count(2)
    await page.get_by_role("button", name="Put it online").click()
    await expect(page.get_by_text("Your listing is online.")).to_be_visible()
    assert await colours(page, listing_of(page)) == ["red", "green"]


async def test_what_cannot_be_taken_is_said_where_it_is_chosen(site: Site, open_page: Open) -> None:
    page = await sell(open_page, site, await site.person("Ann"))
    add, refused = page.get_by_label("Add pictures"), page.locator(".pictures [role=alert]")
    text: FilePayload = {"name": "car.jpg", "mimeType": "image/jpeg", "buffer": b"This is text."}
    huge = FilePayload(name="huge.heic", mimeType="image/heic", buffer=encoded(quarters(), "HEIF") + bytes(11 * 2**20))
    heic: FilePayload = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": encoded(quarters(), "HEIF")}
    await add.set_input_files([text, huge, heic])
    await expect(refused).to_contain_text("car.jpg is not taken")
    await expect(refused).to_contain_text("huge.heic is too large (11")
    await expect(page.locator(".upload")).to_have_count(1)
    # The eleventh picture is refused, and no more can be chosen.
    small = jpeg("red", 40, 30)["buffer"]
    many = [FilePayload(name=f"{number}.jpg", mimeType="image/jpeg", buffer=small) for number in range(11)]
    await add.set_input_files(many)
    await expect(page.locator(".upload")).to_have_count(10)
    await expect(refused).to_contain_text("9.jpg and 1 more are not taken")
    await expect(refused).to_be_visible()
    await expect(add).to_be_disabled()
    await page.get_by_role("button", name="Leave it out picture 5").click()
    await expect(page.locator(".upload")).to_have_count(9)
    await expect(add).to_be_enabled()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator(ITEMS).nth(4)).to_contain_text("3.jpg")


async def test_a_heic_with_another_name_is_uploaded_and_a_stored_picture_is_removed_after_a_question(
    site: Site, open_page: Open
) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    listing = await site.listing(ann, await site.category("Vans", ann), "A van")
    await site.picture(ann, listing, "blue")
    page = await open_page(f"/listings/{listing}/edit", ann)
    heic: FilePayload = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": encoded(quarters(), "HEIF")}
    await page.get_by_label("Add pictures").set_input_files([heic])
    await expect(page.get_by_role("button", name="Remove picture 2")).to_be_visible()
    assert await colours(page, listing) == ["blue", "red"]
    await page.get_by_role("button", name="Remove picture 1").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(page.locator(ITEMS)).to_have_count(2)
    await page.get_by_role("button", name="Remove picture 1").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page.locator(ITEMS)).to_have_count(1)
    assert await colours(page, listing) == ["red"]


async def test_a_photo_of_many_megapixels_is_made_smaller_before_it_is_sent(site: Site, open_page: Open) -> None:
    page = await sell(open_page, site, await site.person("Ann"))
    photo = encoded(quarters().resize((9248, 6936), Image.Resampling.NEAREST), "JPEG", quality=60)
    large: FilePayload = {"name": "64.jpg", "mimeType": "image/jpeg", "buffer": photo}
    await page.get_by_label("Add pictures").set_input_files([large])
    await page.evaluate("""() => {
        const { send } = XMLHttpRequest.prototype;
        XMLHttpRequest.prototype.send = function (form) {
            window.sent = form.get("picture");
            send.call(this, form);
        };
    }""")
    await page.get_by_role("button", name="Put it online").click()
    await expect(page.get_by_text("Your listing is online.")).to_be_visible()
    size = "createImageBitmap(window.sent).then(({ width, height }) => [width, height])"
    assert await page.evaluate(size) == [4096, 3072]
    assert await colours(page, listing_of(page)) == ["red"]


async def test_the_browser_turns_pictures_where_the_server_does(site: Site, open_page: Open) -> None:
    page = await open_page("/")
    width = """async (base64) => {
        const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        const image = new Image();
        image.src = URL.createObjectURL(new Blob([bytes]));
        await image.decode();
        return image.naturalWidth;
    }"""
    for name, (data, is_turned) in turned_by().items():
        assert await page.evaluate(width, base64.b64encode(data).decode()) == (64 if is_turned else 96), name
