"""A picture whose connection is lost on its way goes on where it was, also after a reload."""

from __future__ import annotations

import pytest
from playwright.async_api import FilePayload, Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site, jpeg
from tests.support.database import query
from tests.support.proxy import Proxy
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="package")

CUT_AFTER = 3_400_000
AGAIN = 1024**2 + 300_000
"""The most that is sent twice: one request, which Chromium repeats by itself, and what the page asks for otherwise."""
BARS = """() => {
  const bars = (window.bars = []);
  new MutationObserver((changes) => {
    for (const { target } of changes) if (target.nodeName === "PROGRESS") bars.push(target.value);
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["value"] });
}"""


def large(colour: str) -> FilePayload:
    """A picture of 4 MB: what follows its end is no part of it."""
    file = jpeg(colour)
    return {**file, "buffer": file["buffer"] + bytes(4_000_000)}


async def edit(site: Site, open_page: Open, line: Proxy) -> tuple[Page, int]:
    ann = await site.person("Ann", Role.MODERATOR)
    listing = await site.listing(ann, await site.category("Sedans", ann), "Cut off")
    return await open_page(f"/listings/{listing}/edit", ann, api=line), listing


async def stored(site: Site, page: Page, listing: int) -> None:
    """Wait until the listing has its picture, in the form and in the database, once."""
    await expect(page.get_by_role("button", name="Remove picture 1")).to_be_visible()
    found = query(site.settings.database_url, "SELECT count(*) FROM pictures WHERE listing_id = %s", listing)
    assert found == [(1,)]


async def test_an_upload_that_is_cut_goes_on_by_itself_where_its_bar_was(site: Site, open_page: Open) -> None:
    async with Proxy(site.apis[0].port) as line:
        page, listing = await edit(site, open_page, line)
        await page.evaluate(BARS)
        file, before = large("red"), line.sent
        line.most = CUT_AFTER
        await page.get_by_label("Add pictures").set_input_files([file])
        await stored(site, page, listing)
        assert line.has_cut.is_set()
        # Only one part was sent again.
        assert line.sent - before < len(file["buffer"]) + AGAIN
        bars = await page.evaluate("() => window.bars")
        half = next(index for index, value in enumerate(bars) if value > 0.8)
        assert min(bars[half:]) > (CUT_AFTER - AGAIN) / len(file["buffer"])


async def test_an_upload_goes_on_after_a_reload_while_the_line_was_away(site: Site, open_page: Open) -> None:
    async with Proxy(site.apis[0].port) as line:
        page, listing = await edit(site, open_page, line)
        page.on("dialog", lambda dialog: dialog.accept())
        file, before = large("blue"), line.sent
        line.most, line.stays_away = CUT_AFTER, True
        await page.get_by_label("Add pictures").set_input_files([file])
        await line.has_cut.wait()
        arrived = "SELECT id FROM uploads WHERE listing_id = %s AND arrived > %s"
        await until(lambda: bool(query(site.settings.database_url, arrived, listing, CUT_AFTER - AGAIN)))
        line.refuses = False
        await page.reload()
        await stored(site, page, listing)
        assert line.sent - before < len(file["buffer"]) + AGAIN
        found = query(site.settings.database_url, "SELECT count(*) FROM uploads WHERE listing_id = %s", listing)
        assert found == [(1,)]
