"""`python -m tests.documents.screens URL` takes the pictures of docs/screens from a site with the demo data.

`DEMO=1 make run` makes such a site in an empty folder. Two of its people chat first.
"""

from __future__ import annotations

import asyncio
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.end_to_end.browser.chromium import FLAGS, find_chromium
from tests.support.client import PASSWORD, Person, Rest

FOLDER = Path(__file__).parents[2] / "docs" / "screens"
SCREENS: dict[str, dict[str, Any]] = {
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True},
    "desktop": {"viewport": {"width": 1280, "height": 800}, "device_scale_factor": 1},
}
TALK = (
    (0, "Hello! Is it still there? I could come by on Saturday."),
    (1, "It is. Saturday is fine, after two o'clock."),
    (0, "Great. Has it had its timing belt done?"),
    (1, "At 90,000 miles, I have the bill here."),
)


async def _log_in(rest: Rest, user_id: int) -> Person:
    """The demo's users are the first ones, so the number in an address is the user's id."""
    email = f"user{user_id}@example.com"
    told = await rest.call("POST", "/api/login", 200, body={"email": email, "password": PASSWORD})
    return Person(user_id, told["user"]["name"], email, told["access_token"], told["refresh_token"])


async def _talk(rest: Rest, listing: dict[str, Any]) -> tuple[Person, Person]:
    """Let somebody ask the seller about the car. Returns who asked, and the seller."""
    seller = await _log_in(rest, listing["seller"]["id"])
    buyer = await _log_in(rest, 1 if seller.id != 1 else 2)
    for number, (side, text) in enumerate(TALK):
        who, to = (buyer, seller) if side == 0 else (seller, buyer)
        body = {"to": to.id, "message": text, "listing_id": listing["id"], "client_ref": f"screens-{number}"}
        await rest.call("POST", "/api/messages", 201, who=who, body=body)
    return buyer, seller


async def _page(context: BrowserContext, path: str, wait_for: str, name: str) -> None:
    page = await context.new_page()
    await page.goto(path)
    await page.locator(wait_for).first.wait_for()
    await page.wait_for_load_state("networkidle")
    picture = Image.open(BytesIO(await page.screenshot()))
    picture.thumbnail((1280, 1280))
    FOLDER.mkdir(exist_ok=True)
    picture.save(FOLDER / f"{name}.webp", quality=80, method=6)
    await page.close()


async def _pictures(browser: Browser, url: str, screen: str, car: int, buyer: Person, seller: Person) -> None:
    context = await browser.new_context(base_url=url, locale="en-US", **SCREENS[screen])
    await _page(context, "/", ".card img", f"list-{screen}")
    await _page(context, f"/listings/{car}", ".gallery-main img", f"car-{screen}")
    page = await context.new_page()
    await page.goto("/login")
    await page.get_by_label("E-mail").fill(buyer.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("main").get_by_role("button", name="Log in", exact=True).click()
    await page.locator("[href='/account']").first.wait_for(state="attached")
    await _page(context, f"/messages/{seller.id}", ".car-in-brief img", f"chat-{screen}")
    await context.close()


async def main(url: str) -> None:
    async with Rest(url) as rest:
        listings = (await rest.call("GET", "/api/listings?limit=50", 200))["data"]
        listing = next(one for one in listings if one["pictures"] and one["status"] == "available")
        buyer, seller = await _talk(rest, listing)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for screen in SCREENS:
            await _pictures(browser, url, screen, listing["id"], buyer, seller)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
