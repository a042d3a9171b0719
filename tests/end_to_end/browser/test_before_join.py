"""A page shows also what happens after it was read and before it has joined the channel that tells of it."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Page, Route, WebSocketRoute, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="package")


class HeldJoins:
    """Keeps a page's joins of one topic from the gateway until `release()`."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._held: list[tuple[WebSocketRoute, str | bytes]] = []
        self._is_open = False
        self.asked = asyncio.Event()

    async def watch(self, page: Page) -> None:
        await page.route_web_socket("**/socket/websocket**", self._between)

    def release(self) -> None:
        self._is_open = True
        for gateway, frame in self._held:
            gateway.send(frame)
        self._held.clear()

    def _between(self, browser: WebSocketRoute) -> None:
        gateway = browser.connect_to_server()

        def sent(frame: str | bytes) -> None:
            if not self._is_open and f'"{self._topic}","phx_join"' in str(frame):
                self._held.append((gateway, frame))
                self.asked.set()
            else:
                gateway.send(frame)

        browser.on_message(sent)


async def test_a_listing_that_is_sold_before_its_page_has_joined_is_shown_as_sold(site: Site, open_page: Open) -> None:
    bob, sally = await site.person("Bob"), await site.person("Sally", Role.MODERATOR)
    listing = await site.listing(sally, await site.category("Sedans", sally), "An Iso Lele", price=9000)
    page, joins = await open_page("/", bob), HeldJoins(f"listing:{listing}")
    await joins.watch(page)
    await page.goto(f"/listings/{listing}")
    await expect(page.locator(".price-tag")).to_contain_text("9,000")
    await joins.asked.wait()
    await site.rest.call("PATCH", f"/api/listings/{listing}", 200, who=sally, body={"status": "sold"})
    await site.rest.call("POST", f"/api/listings/{listing}/replies", 201, who=sally, body={"text": "It is sold."})
    joins.release()
    await expect(page.locator(".price-tag")).to_contain_text("Sold")
    await expect(page.get_by_role("main").get_by_text("It is sold.")).to_be_visible()


async def test_what_is_reported_before_the_queue_has_joined_is_in_the_queue(site: Site, open_page: Open) -> None:
    mona, sally, bob = await site.person("Mona", Role.MODERATOR), await site.person("Sally"), await site.person("Bob")
    listing = await site.listing(sally, await site.category("Trucks", mona), "A strange truck")
    page, joins = await open_page("/", mona), HeldJoins("moderation")
    await joins.watch(page)
    async with page.expect_response(lambda answer: "/api/moderation/queue" in answer.url):
        await page.goto("/moderation")
    await joins.asked.wait()
    body = {"reason": "fraud", "text": "There is no such truck."}
    await site.rest.call("POST", f"/api/listings/{listing}/reports", 201, who=bob, body=body)
    await expect(page.get_by_text("A strange truck")).to_have_count(0)
    joins.release()
    await expect(page.get_by_text("A strange truck").first).to_be_visible()


async def test_an_answer_that_is_older_than_a_report_does_not_take_it_from_the_queue(
    site: Site, open_page: Open
) -> None:
    mona, sally, bob = await site.person("Mona", Role.MODERATOR), await site.person("Sally"), await site.person("Bob")
    listing = await site.listing(sally, await site.category("Vans", mona), "A strange van")
    page = await open_page("/", mona)
    is_reported = asyncio.Event()
    late: list[asyncio.Event] = []

    async def answer_late(route: Route) -> None:
        answer, is_answered = await route.fetch(), asyncio.Event()
        late.append(is_answered)
        await is_reported.wait()
        await route.fulfill(response=answer)
        is_answered.set()

    await page.route(re.compile(r"/api/moderation/queue(\?(?!limit=1$)|$)"), answer_late)
    await page.goto("/moderation")
    # One answer for the first look, and one for the join; the one for the number in the navigation is not held back.
    await until(lambda: len(late) == 2)
    body = {"reason": "fraud", "text": "There is no such van."}
    await site.rest.call("POST", f"/api/listings/{listing}/reports", 201, who=bob, body=body)
    await expect(page.get_by_text("A strange van").first).to_be_visible()
    async with page.expect_response(re.compile(f"/api/moderation/queue/listings/{listing}")):
        is_reported.set()
        for is_answered in late:
            await is_answered.wait()
    await expect(page.get_by_text("A strange van").first).to_be_visible()
