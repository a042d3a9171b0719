"""The page for readers with a translator, large letters or a wrong clock, and beside names that turn text round."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.chromium import FLAGS, find_chromium
from tests.end_to_end.browser.conftest import Open, Site, logged_in
from tests.end_to_end.browser.engines.firefox import find_firefox, firefox
from tests.support.database import query

pytestmark = pytest.mark.asyncio(loop_scope="package")

TRANSLATE = """() => {
    const walker = document.createTreeWalker(document.getElementById("app"), NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) {
        if (!text.data.trim() || text.parentElement.closest("[translate=no], textarea, script, style")) continue;
        const outer = document.createElement("font");
        outer.append(document.createElement("font"));
        outer.firstChild.textContent = `«${text.data.trim()}»`;
        text.replaceWith(outer);
    }
}"""
"""What Google Translate does to a page: it puts elements in the place of texts."""


async def test_a_page_that_is_being_translated_goes_on_working(site: Site, open_page: Open) -> None:
    ann, bob = await site.person("Ann", Role.MODERATOR), await site.person("Bob")
    category = await site.category("Vans", ann)
    listings = [await site.listing(ann, category, f"Van {number}", price=1000 * number) for number in (1, 2)]
    page = await open_page(f"/?category_id={category}&price_min=500", bob)
    await expect(page.locator(".connection[data-state=live]")).to_be_visible()
    await expect(page.locator(".card h2")).to_have_count(2)
    await page.evaluate(TRANSLATE)
    await expect(page.get_by_text("«Apply»")).to_be_visible()
    await expect(page.locator(".brand")).to_have_text("Daveslist")
    await expect(page.locator(".card .price").first).to_have_text("$2,000")

    # Texts that change show what they are now.
    await site.rest.call("POST", "/api/messages", 201, who=ann, body={"to": bob.id, "message": "one"})
    await expect(page.locator(".top .badge")).to_contain_text("1")
    await page.evaluate(TRANSLATE)
    await site.rest.call("POST", "/api/messages", 201, who=ann, body={"to": bob.id, "message": "two"})
    await expect(page.locator(".top .badge")).to_contain_text("2")
    await page.get_by_label("Min price").fill("1,500")
    await page.locator("#filters button.primary").click()
    await expect(page.locator(".card h2")).to_have_count(1)
    await expect(page.locator(".card h2")).to_contain_text("Van 2")
    await expect(page.locator(".found")).to_contain_text("1 car")
    await expect(page.locator(".chip bdi").last).to_contain_text("$1,500")

    await page.locator(".card a").click()
    await expect(page.locator("h1")).to_have_text("Van 2")
    await page.evaluate(TRANSLATE)
    body = {"title": "Van 2, with roof", "price": 1900}
    await site.rest.call("PATCH", f"/api/listings/{listings[1]}", 200, who=ann, body=body)
    await expect(page.locator("h1")).to_have_text("Van 2, with roof")
    await expect(page.locator(".listing .price")).to_contain_text("$1,900")

    await page.locator('.top a[href="/messages"]').click()
    await page.locator(f'[data-conversation="{ann.id}"]').click()
    await expect(page.locator("[data-message]")).to_have_count(2)
    await page.evaluate(TRANSLATE)
    await expect(page.locator("#thread-title")).to_have_text("Ann")
    await page.locator(".composer textarea").fill("three")
    await page.locator(".composer textarea").press("Enter")
    await expect(page.locator("[data-message]")).to_have_count(3)
    await expect(page.locator(".conversation-last")).to_contain_text("three")
    await page.go_back()
    await page.go_back()
    await expect(page.locator("h1")).to_contain_text("Van 2, with roof")


async def test_forms_that_are_being_translated_tell_faults_and_are_sent(site: Site, open_page: Open) -> None:
    mona = await site.person("Mona", Role.MODERATOR)
    category = await site.category("Vans", mona)
    page = await open_page("/listings/new", await site.person("Bob"))
    await expect(page.locator("#announcer")).to_have_count(1)
    await page.evaluate(TRANSLATE)
    await page.locator("#listing-title").fill("A translated van")
    await page.locator("#listing-category_id").select_option(str(category))
    await page.locator("#listing-content").fill("It drives.")
    send, fault = page.locator("main form .button.primary"), page.locator("#listing-price-error")
    for text in ("cheap", "dear"):
        await page.locator("#listing-price").fill(text)
        await send.click()
        await expect(page.locator("#listing-price")).to_be_focused()
        await expect(fault).to_contain_text("Write it in digits.")
        await page.evaluate(TRANSLATE)
    await page.locator("#listing-price").fill("4,500")
    await send.click()
    await expect(page.locator("h1")).to_have_text("A translated van")
    await expect(page.locator(".listing .price")).to_have_text("$4,500")


DOUBLED = """() => {
    const all = [document.body, ...document.querySelectorAll("#app *")];
    const sizes = all.map((one) => parseFloat(getComputedStyle(one).fontSize));
    all.forEach((one, index) => { one.style.fontSize = `${2 * sizes[index]}px`; });
}"""
"""What a zoom of the text alone does: letters grow, and all other sizes stay."""


@pytest.mark.parametrize("setting", ["defaultFontSize=32", "minimumFontSize=24", "doubled"])
async def test_with_large_letters_nothing_is_cut_off_or_covered(
    site: Site, chromium: Browser, open_page: Open, setting: str
) -> None:
    ann, bob = await site.person("Ann", Role.MODERATOR), await site.person("Bob")
    category = await site.category("Vans", ann)
    facts = {"price": 9000, "year": 2011, "mileage": 120_000, "location": "San Antonio, TX"}
    listing = await site.listing(ann, category, "A van with a rather long title", **facts)
    await site.picture(ann, listing)
    await site.rest.call("PATCH", f"/api/listings/{listing}", 200, who=ann, body={"price": 8500})
    body = {"to": bob.id, "message": "Hello", "listing_id": listing}
    await site.rest.call("POST", "/api/messages", 201, who=ann, body=body)
    await site.rest.call("POST", "/api/searches", 201, who=bob, body={"name": "Vans", "query": {}})
    await site.rest.call("PUT", f"/api/listings/{listing}/favourite", 204, who=bob)
    of_bob = ("/listings/new", f"/messages/{ann.id}", "/messages", "/account", "/favourites")
    faults: list[str] = []
    async with AsyncExitStack() as ends:
        browser = chromium
        if setting != "doubled":
            # A setting of the browser itself, which style sheets and their conditions follow.
            browser = await chromium.browser_type.launch(
                executable_path=find_chromium(), args=[*FLAGS, f"--blink-settings={setting}"]
            )
            ends.push_async_callback(browser.close)
        for width in (320, 390, 1280):
            page = await open_page("/", bob, browser=browser, viewport={"width": width, "height": 900})
            for path in (f"/?category_id={category}", f"/listings/{listing}", *of_bob):
                await page.goto(path)
                await expect(page.locator("#announcer")).to_have_count(1)
                await expect(page.locator("main h1")).to_be_visible()
                await expect(page.locator("main")).not_to_contain_text("Loading…")
                if setting == "doubled":
                    await page.evaluate(DOUBLED)
                found = [*await page.evaluate(CUT), *await page.evaluate(COVERED)]
                faults += [f"{path} at {width}: {fault}" for fault in found]
            await page.context.close()
    assert not faults, "\n".join(faults)


READERS_OWN = {
    "font.minimum-size.x-western": 20,
    # A zoom of the text alone, to twice its size, as the person's desktop asks for it.
    "browser.display.os-zoom-behavior": 2,
    "ui.textScaleFactor": 200,
    "browser.display.document_color_use": 2,
    "browser.display.foreground_color": "#ffff00",
    "browser.display.background_color": "#000000",
    "browser.display.use_document_fonts": 0,
}
"""What people set in Firefox who need large letters, their own colours and their own fonts."""

LOADED = """async () => {
    const isThere = () => {
        const main = document.querySelector("#announcer") && document.querySelector("main");
        return main && main.querySelector("h1") && !main.textContent.includes("Loading…");
    };
    while (!isThere()) await new Promise(requestAnimationFrame);
}"""


@pytest.mark.skipif(find_firefox() is None, reason="no Firefox on this machine")
@pytest.mark.timeout(480)
async def test_with_firefoxs_settings_for_people_who_see_badly_nothing_is_cut_off_or_covered(
    site: Site, tmp_path: Path
) -> None:
    ann, bob = await site.person("Ann", Role.ADMIN), await site.person("Bob", Role.ADMIN)
    category = await site.category("Vans", ann)
    facts = {"price": 9000, "year": 2011, "location": "San Antonio, TX"}
    listing = await site.listing(ann, category, "A Mercedes-Benz van", **facts)
    await site.rest.call("POST", "/api/messages", 201, who=ann, body={"to": bob.id, "message": "Hello"})
    await site.rest.call("PUT", f"/api/listings/{listing}/favourite", 204, who=bob)
    views = (f"/?category_id={category}", f"/listings/{listing}", "/listings/new", f"/messages/{ann.id}", "/account")
    url = site.apis[0].url
    [entry] = logged_in(bob, Role.ADMIN, url)["origins"][0]["localStorage"]
    faults: list[str] = []
    async with firefox(find_firefox() or "", tmp_path, READERS_OWN) as tab:
        await tab.go(f"{url}/nowhere")
        await tab.run("(name, value) => localStorage.setItem(name, value)", entry["name"], entry["value"])
        for width in (320, 1280):
            await tab.resize(width, 900)
            for path in (*views, "/favourites", "/admin", "/moderation/categories"):
                await tab.go(url + path)
                await tab.run(LOADED)
                found = [*await tab.run(CUT), *await tab.run(COVERED)]
                faults += [f"{path} at {width}: {fault}" for fault in found]
        seen = await tab.run(
            """() => {
                const { color, fontSize } = getComputedStyle(document.body);
                return [color, fontSize];
            }"""
        )
        # These are really the person's own.
        assert seen == ["rgb(255, 255, 0)", "32px"]
    assert not faults, "\n".join(faults)


CUT = """() => {
    const { clientWidth, scrollWidth } = document.documentElement;
    const found = scrollWidth > clientWidth ? [`${scrollWidth} wide`] : [];
    const walker = document.createTreeWalker(document.getElementById("app"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode;
        const parent = text.parentElement;
        if (!text.data.trim() || !parent.checkVisibility({ visibilityProperty: true })) continue;
        if (parent.closest(".skip-link, .for-readers, option")) continue;
        const range = document.createRange();
        range.selectNodeContents(text);
        const lines = [...range.getClientRects()].filter(({ width, height }) => width > 1 && height > 1);
        const isOut = lines.some(({ left, right }) => left < -1 || right > clientWidth + 1);
        let isWrong = isOut && !parent.closest("[tabindex='0']");
        for (let one = parent; one; one = one.parentElement) {
            const { clipPath, overflowX, overflowY, textOverflow, webkitLineClamp } = getComputedStyle(one);
            // What ends with an ellipsis is shortened on purpose; and words for screen readers are not seen.
            if (clipPath !== "none" || textOverflow === "ellipsis" || webkitLineClamp !== "none") {
                isWrong = false;
                break;
            }
            const room = one.getBoundingClientRect();
            const hides = (overflow) => overflow === "hidden" || overflow === "clip";
            isWrong ||= hides(overflowX) && lines.some(({ right }) => right > room.right + 2);
            isWrong ||= hides(overflowY) && lines.some(({ bottom }) => bottom > room.bottom + 2);
        }
        if (isWrong) found.push(`${parent.localName}.${parent.className} is cut: ${text.data.trim().slice(0, 30)}`);
    }
    return found;
}"""
"""The texts that reach out of the window, or out of a box that shows nothing beyond its sides."""

COVERED = """() => {
    const found = [];
    for (const one of document.querySelectorAll("a[href], button, input, select, textarea, summary")) {
        if (!one.checkVisibility({ visibilityProperty: true }) || one.closest(".skip-link, .for-readers")) continue;
        if (getComputedStyle(one).clipPath !== "none") continue;
        one.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
        const place = one.getClientRects()[0];
        const above = document.elementFromPoint(place.left + place.width / 2, place.top + place.height / 2);
        const isPressed = above && (one.contains(above) || above.contains(one));
        const what = `${one.localName}.${one.className} ${one.textContent.trim().slice(0, 30)}`;
        if (!isPressed) found.push(`${what} is covered by ${above?.localName}.${above?.className}`);
        if (place.width < 16 || place.height < 16) found.push(`${what} is ${place.width} by ${place.height} pixels`);
    }
    return found;
}"""
"""The controls that cannot be pressed in their middle, or are too small."""


@pytest.mark.parametrize("hours", [-2, 2])
async def test_times_are_told_by_the_servers_clock(site: Site, open_page: Open, hours: int) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    category = await site.category("Vans", ann)
    listing = await site.listing(ann, category, "A new van")
    page = await open_page("/login")
    await page.clock.install(time=time.time() + hours * 3600)
    for path in (f"/listings/{listing}", f"/?category_id={category}"):
        await page.goto(path)
        await expect(page.locator("#announcer")).to_have_count(1)
        shown = page.locator("main time").first
        await expect(shown).to_have_text("just now")
        [created_at] = query(site.settings.database_url, "SELECT created_at FROM listings WHERE id = %s", listing)[0]
        assert (await shown.get_attribute("datetime") or "")[:19] == created_at.isoformat()[:19]
        assert str(created_at.year) in (await shown.get_attribute("title") or "")


TURNED = "\u202eevE"
"""A text with a character that turns what comes after it round."""


async def test_a_name_that_turns_text_round_turns_only_itself(site: Site, open_page: Open) -> None:
    ann, bob = await site.person("Ann", Role.ADMIN), await site.person("Bob")
    # Names with such characters are refused today; there may be some from before.
    query(site.settings.database_url, "UPDATE users SET name = %s WHERE id = %s", TURNED, bob.id)
    category = await site.category(TURNED, ann)
    listing = await site.listing(bob, category, TURNED, location=TURNED, make=TURNED)
    body = {"reason": "other", "text": TURNED}
    await site.rest.call("POST", f"/api/listings/{listing}/reports", 201, who=ann, body=body)
    await site.rest.call("POST", "/api/messages", 201, who=bob, body={"to": ann.id, "message": TURNED})
    page = await open_page(f"/messages/{bob.id}", ann)
    bobs = await open_page(f"/messages/{ann.id}", bob, node=1)
    for each in (page, bobs):
        await expect(each.locator(".connection[data-state=live]")).to_be_visible()
    # Nobody is told later that somebody typed while a chat was still being joined, so he types until it is seen.
    for _ in range(10):
        await bobs.locator(".composer textarea").press_sequentially("a")
        with suppress(AssertionError):
            await expect(page.locator(".typing")).to_contain_text("is typing…", timeout=4000)
            break
    await expect(page.locator(".typing")).to_contain_text("is typing…")
    assert await page.title() == f"Messages with \u2068{TURNED}\u2069 · Daveslist"
    assert await turned_round(page) == []
    for path in (
        *(f"/listings/{listing}", f"/?category_id={category}", f"/?seller_id={bob.id}", f"/?q={TURNED}"),
        *("/moderation", "/moderation/categories", "/admin", "/account", "/messages", f"/listings/{listing}/edit"),
    ):
        await page.goto(path)
        await expect(page.locator("#announcer")).to_have_count(1)
        await expect(page.locator("main h1")).to_be_visible()
        await page.wait_for_load_state("networkidle")
        assert await turned_round(page) == [], path
    await page.goto("/moderation/categories")
    await page.get_by_role("button", name="Delete").first.click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await turned_round(page) == []


async def turned_round(page: Page) -> list[str]:
    """The texts, names and titles on the page in which such a character is beside other words without an isolate."""
    found: list[str] = await page.evaluate(
        """() => {
            const withoutIsolated = (text) => {
                for (let before = ""; before !== text; ) {
                    before = text;
                    text = text.replace(/\\u2068[^\\u2066-\\u2069]*\\u2069/g, "");
                }
                return text;
            };
            const isWrong = (text) => {
                const rest = withoutIsolated(text).trim();
                return rest.includes("\\u202e") && rest !== "\\u202eevE";
            };
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            const found = isWrong(document.title) ? [document.title] : [];
            for (const one of document.querySelectorAll("[aria-label], [alt], [title]")) {
                for (const name of ["aria-label", "alt", "title"]) {
                    if (isWrong(one.getAttribute(name) ?? "")) found.push(`${name}: ${one.getAttribute(name)}`);
                }
            }
            while (walker.nextNode()) {
                const text = walker.currentNode;
                if (text.parentElement.closest("bdi, [dir=auto], script, title, option, textarea")) continue;
                if (withoutIsolated(text.data).includes("\\u202e")) found.push(text.parentElement.outerHTML);
            }
            return found;
        }"""
    )
    return found
