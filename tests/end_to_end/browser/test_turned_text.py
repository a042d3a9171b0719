"""Characters that control the direction of text, in what people wrote, never turn the page's own words round."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import FilePayload, Route, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site, jpeg
from tests.support.database import query

pytestmark = pytest.mark.asyncio(loop_scope="package")

WORD = "Lanzia"
ENDS = ("\u2069", "\u2069\u2069\u2069", "\u2029", "\x1c", "\x85")
"""What ends an isolate around the text, also that of an element: an override after it turns what follows."""
TEXTS = [f"{WORD}{end}\u202eabc" for end in ENDS] + [f"{WORD}\u2067\u2066\u202e", f"{WORD} \u05d0\u05d1\u05d2"]

# Of each text of the page with the word, also in attributes and in the title: whether something in it ends the isolate
# around it; and whether there is one, unless it is all that its block says.
FIND = """(word) => {
    const escapes = (text) => {
        let open = 0;
        for (const one of text) {
            if (/[\\u2029\\x1c-\\x1e\\x85]/.test(one)) return true;
            if (/[\\u2066-\\u2068]/.test(one)) open += 1;
            if (one === "\\u2069" && --open < 0) return true;
        }
        return open > 0;
    };
    const turns = (text) => /[\\u0590-\\u08ff\\u202a-\\u202e\\u2066-\\u2069]/.test(text);
    const isolates = (text) => {
        const [before, after] = [text.indexOf("\\u2068"), text.lastIndexOf("\\u2069")];
        return before >= 0 && before < after && !turns(text.slice(0, before) + text.slice(after + 1));
    };
    const isInline = (element) => getComputedStyle(element).display.startsWith("inline");
    const block = (element) => isInline(element) ? block(element.parentElement) : element;
    const title = document.title, seen = [title], wrong = [];
    if (turns(title) && (escapes(title) || !isolates(title))) wrong.push(["title", title]);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const element = node.parentElement;
        if (!node.data.includes(word) || element.closest("script, option, textarea")) continue;
        seen.push(node.data);
        const isAlone = block(element).textContent.trim() === node.data.trim();
        const isKept = isAlone || element.closest("bdi") || isolates(node.data) || !turns(node.data);
        if (escapes(node.data) || !isKept) wrong.push([element.outerHTML, node.data]);
    }
    for (const element of document.querySelectorAll("[aria-label], [title], [alt], [placeholder]")) {
        for (const name of ["aria-label", "title", "alt", "placeholder"]) {
            const text = element.getAttribute(name) ?? "";
            if (!text.includes(word)) continue;
            seen.push(text);
            if (turns(text) && (escapes(text) || !(isolates(text) || text.startsWith(word)))) wrong.push([name, text]);
        }
    }
    return { seen: seen.filter((text) => text.includes(word)).length, wrong };
}"""


async def test_no_text_turns_the_pages_own_words_round(site: Site, open_page: Open) -> None:
    root, ann = await site.person("Root", Role.ADMIN), await site.person("Ann")
    call = site.rest.call
    category = await site.category("Lancias", root)
    listings = [await site.listing(ann, category, text, price=9000, make=text, location=text) for text in TEXTS]
    # From before names had rules.
    query(site.settings.database_url, "UPDATE users SET name = %s WHERE id = %s", TEXTS[0], ann.id)
    for listing, text in zip(listings, TEXTS, strict=True):
        await call("POST", f"/api/listings/{listing}/replies", 201, who=ann, body={"text": text})
        await call("PUT", f"/api/listings/{listing}/favourite", 204, who=root)
        await call("POST", "/api/searches", 201, who=root, body={"name": text, "query": {"q": WORD}})
    await call("PUT", f"/api/listings/{listings[1]}/hidden", 200, who=root, body={"reason": TEXTS[1]})
    about = {"to": root.id, "message": TEXTS[0], "listing_id": listings[0]}
    await call("POST", "/api/messages", 201, who=ann, body=about)
    for listing in listings:
        await call("PATCH", f"/api/listings/{listing}", 200, who=ann, body={"price": 8000})
    await call("POST", f"/api/listings/{listings[0]}/reports", 201, who=root, body={"reason": "spam", "text": TEXTS[0]})
    await site.told()

    page = await open_page("/", root)

    async def look(path: str, least: int) -> None:
        await page.goto(path)
        await page.wait_for_function(f"(word) => ({FIND})(word).seen >= {least}", arg=WORD)
        found: Any = await page.evaluate(FIND, WORD)
        assert found["wrong"] == [], path

    for listing in listings:
        await look(f"/listings/{listing}", 5)
    await look(f"/?seller_id={ann.id}", 8)
    await look(f"/?q={WORD}%E2%81%A9%E2%80%AEabc", 1)
    await look("/alerts", 8)
    await look("/searches", len(TEXTS))
    await look("/favourites", len(TEXTS))
    await look("/messages", 2)
    await look(f"/messages/{ann.id}", 3)
    await look("/moderation", 2)
    await look("/moderation/hidden", 1)
    await look(f"/admin?q={WORD}", 1)
    await look("/admin/audit", 1)
    # As visitors and search engines get it, before any module runs.
    for path in (f"/listings/{listings[0]}", f"/?seller_id={ann.id}"):
        plain = await open_page(path, java_script_enabled=False)
        found = await plain.evaluate(FIND, WORD)
        assert found["seen"] > 3
        assert found["wrong"] == [], path


async def test_no_name_of_a_chosen_file_turns_the_pages_own_words_round(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann")
    listing = await site.listing(ann, await site.category("Lancias", await site.person("Root", Role.ADMIN)), "A car")
    page = await open_page(f"/listings/{listing}/edit", ann)
    may_go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await may_go_on.wait()
        await route.continue_()

    await page.route("**/pictures", hold)
    pictures: list[FilePayload] = [{**jpeg("red"), "name": f"{text}.jpg"} for text in TEXTS]
    unfit: list[FilePayload] = [{**one, "buffer": b"no picture"} for one in pictures]
    await page.get_by_label("Add pictures").set_input_files(pictures + unfit)
    # Each name is shown; those that are being uploaded are also the labels of their bars.
    await page.wait_for_function(f"(word) => ({FIND})(word).seen >= {2 * len(TEXTS) + 1}", arg=WORD)
    found: Any = await page.evaluate(FIND, WORD)
    assert found["wrong"] == []
    may_go_on.set()
    await expect(page.locator("#announcer")).to_contain_text("is uploaded.")
    assert (await page.evaluate(FIND, WORD))["wrong"] == []
