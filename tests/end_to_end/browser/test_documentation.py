"""The page with the API's documentation, on which requests can be tried out."""

from __future__ import annotations

import shlex

import pytest
from playwright.async_api import Locator, Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site, jpeg

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def opened(page: Page, operation_id: str) -> Locator:
    operation = page.locator(f"#{operation_id}")
    await operation.locator("summary").click()
    return operation


async def test_after_a_log_in_on_the_page_requests_are_sent_as_that_user(site: Site, open_page: Open) -> None:
    page = await open_page("/api/docs")
    register = await opened(page, "accounts_register")
    await expect(register.locator("summary")).to_contain_text("POST /api/register")
    await expect(register.locator("dl")).to_contain_text("/problems/email-taken")
    example = await register.locator("textarea").input_value()
    await register.locator("textarea").fill(example.replace("dave@", "docs@"))
    await register.get_by_role("button", name="Send").click()
    await expect(register.locator("pre").last).to_contain_text("201 Created application/json")
    me = await opened(page, "accounts_read")
    await me.get_by_role("button", name="Send").click()
    await expect(me.locator("pre").last).to_contain_text("docs@example.com")


async def test_a_picture_can_be_sent_and_shown_and_markup_stays_text(site: Site, open_page: Open) -> None:
    seller = await site.person("Ann")
    moderator = await site.person("Mona", Role.MODERATOR)
    listing_id = await site.listing(seller, await site.category("Cars", moderator), "<img src=x onerror=alert(1)>")
    page = await open_page("/api/docs")
    await page.get_by_label("Access token").fill(seller.token)
    add = await opened(page, "pictures_add")
    await add.get_by_label("id (path").fill(str(listing_id))
    await add.get_by_label("picture").set_input_files(jpeg("red"))
    await add.get_by_role("button", name="Send").click()
    answer = add.locator("pre").last
    await expect(answer).to_contain_text("201 Created")
    picture_id = (await answer.inner_text()).partition('"id": ')[2].partition(",")[0]
    show = await opened(page, "pictures_thumbnail")
    await show.get_by_label("id (path").fill(picture_id)
    await show.get_by_role("button", name="Send").click()
    image = show.get_by_alt_text("The picture")
    await expect(image).to_be_visible()
    assert await image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 480
    read = await opened(page, "listings_read")
    await read.get_by_label("id (path").fill(str(listing_id))
    await read.get_by_role("button", name="Send").click()
    await expect(read.locator("pre").last).to_contain_text("<img src=x onerror=alert(1)>")


async def test_each_operation_has_a_line_for_a_shell_and_words_in_code_are_shown_as_code(open_page: Open) -> None:
    page = await open_page("/api/docs")
    about = page.locator("#about")
    await expect(about.locator("code", has_text="private_chat:{your id}")).to_be_visible()
    change = await opened(page, "listings_change")
    await change.get_by_label("id (path").fill("7")
    await change.get_by_label("If-Match (header").fill('"tag"')
    await change.locator("textarea").fill('{"title": "Bob\'s car"}')
    origin = await page.evaluate("location.origin")
    assert shlex.split(await change.locator(".curl").inner_text()) == [
        *("curl", "-X", "PATCH", f"{origin}/api/listings/7", "-H", "Authorization: Bearer $TOKEN"),
        *("-H", 'If-Match: "tag"', "-H", "Content-Type: application/json", "-d", '{"title": "Bob\'s car"}'),
    ]
    await expect(change.locator("dd code", has_text="/problems/changed-meanwhile")).to_be_visible()
    find = await opened(page, "listings_find")
    await find.get_by_label("q (query").fill("vw golf")
    assert shlex.split(await find.locator(".curl").inner_text()) == [
        *("curl", f"{origin}/api/listings?q=vw+golf", "-H", "Authorization: Bearer $TOKEN"),
    ]
    assert "`" not in await page.locator("body").inner_text()
    assert "9223372036854776000" not in (await page.locator("body").text_content() or "")
