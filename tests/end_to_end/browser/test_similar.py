"""Cars like the one that is shown, at the end of its page."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Request, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_similar_cars_are_asked_for_when_somebody_comes_near_the_end_of_the_page(
    site: Site, open_page: Open
) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    category, make = await site.category("Sedans", ann), f"Make{time.monotonic_ns()}"
    long = "One line of many.\n" * 200
    facts = {"make": make, "model": "Swift"}
    shown = await site.listing(ann, category, "The one that is shown", **{**facts, "content": long})
    for number in range(5):
        await site.listing(ann, category, f"Another Swift {number}", **facts)
    rare = await site.listing(ann, category, "A rare one", **{**facts, "model": "Rare"})
    await site.listing(ann, category, "Of another make", make="Other", model="Swift")
    asked: list[dict[str, list[str]]] = []

    def note(request: Request) -> None:
        url = urlsplit(request.url)
        if url.path == "/api/listings":
            asked.append(parse_qs(url.query))

    page = await open_page("/login")
    page.on("request", note)
    await page.goto(f"/listings/{shown}")
    await expect(page.locator("#announcer")).to_have_count(1)
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert asked == []
    await page.keyboard.press("End")
    cards = page.get_by_role("region", name="Similar cars").get_by_role("article")
    await expect(cards).to_have_count(4)
    for number, place in ((4, 0), (1, 3)):
        await expect(cards.nth(place)).to_contain_text(f"Another Swift {number}")
    assert asked == [{"make": [make], "model": ["Swift"], "limit": ["5"]}]

    # If there are few of its model, there are others of its make.
    await page.goto(f"/listings/{rare}")
    await page.keyboard.press("End")
    await expect(cards).to_have_count(4)
    await cards.first.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Another Swift 4")
