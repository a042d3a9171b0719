"""People's text never becomes markup, wherever it is shown, and the content security policy would stop such markup."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

ATTACK = """<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"""


async def is_text(page: Page, where: str, count: int = 1) -> None:
    """Check that the page shows the attack as text, and that it has become no element and no script."""
    shown = page.locator(where).filter(has_text=ATTACK)
    await expect(shown).to_have_count(count)
    assert await page.locator('img[src="x"], main script').count() == 0
    assert await page.evaluate("window.hacked === undefined")


async def test_markup_in_peoples_text_stays_text(site: Site, open_page: Open) -> None:
    ann, mod = await site.person("Ann"), await site.person("Root", Role.ADMIN)
    await site.rest.call("PATCH", "/api/me", 200, who=ann, body={"name": ATTACK})
    attack = dict.fromkeys(("content", "make", "model", "location"), ATTACK)
    category = await site.category(ATTACK, mod)
    listing = await site.listing(ann, category, ATTACK, price=9000, **attack)
    call = site.rest.call
    await call("POST", f"/api/listings/{listing}/replies", 201, who=ann, body={"text": ATTACK})
    body = {"reason": "other", "text": ATTACK}
    await call("POST", f"/api/listings/{listing}/reports", 201, who=mod, body=body)
    await call("PUT", f"/api/listings/{listing}/hidden", 200, who=mod, body={"reason": ATTACK})
    await call("POST", "/api/messages", 201, who=ann, body={"to": mod.id, "message": ATTACK})

    await call("POST", "/api/searches", 201, who=mod, body={"name": ATTACK, "query": {"q": ATTACK}})
    await call("PUT", f"/api/listings/{listing}/favourite", 204, who=mod)
    await call("PATCH", f"/api/listings/{listing}", 200, who=ann, body={"price": 8000})
    await site.told()

    for kind, name in (("warnings", "reason"), ("notes", "text")):
        await call("POST", f"/api/users/{ann.id}/{kind}", 201, who=mod, body={name: ATTACK})
    [warned, *_] = (await call("GET", "/api/me/warnings", 200, who=ann))["data"]
    await call("POST", "/api/objections", 201, body={"token": warned["objection_token"], "text": ATTACK})
    await call("PUT", f"/api/me/warnings/{warned['id']}/read", 204, who=ann)

    page = await open_page(f"/?seller_id={ann.id}", mod)
    await is_text(page, ".card h2")
    await page.goto(f"/listings/{listing}")
    await is_text(page, "h1")
    await is_text(page, ".user-text", 2)
    await is_text(page, ".facts dd", 3)
    await is_text(page, "#hidden-notice")
    await page.get_by_role("button", name="Show again").wait_for()
    await page.goto("/moderation")
    await is_text(page, "[data-report] > .user-text")
    # The title of the listing, and the name of its seller.
    await is_text(page, ".report-group a")
    await is_text(page, ".done-before > summary")
    await page.goto("/moderation/hidden")
    await is_text(page, ".row-text > .user-text")
    await page.goto(f"/moderation/people/{ann.id}")
    # The reasons of the warning and of the hiding, the objection, and the note.
    await is_text(page, ".user-text", 4)
    await page.goto("/moderation/objections")
    await is_text(page, ".user-text", 2)
    await page.goto("/alerts")
    # The title for the search and for the favourite, and the name of the search.
    await is_text(page, ".row-text a", 3)
    await page.goto("/searches")
    await is_text(page, ".row-text a")
    await page.goto("/favourites")
    await is_text(page, ".card h2")
    await page.goto(f"/messages/{ann.id}")
    await is_text(page, ".bubble")
    await is_text(page, ".conversation-last")
    await page.goto("/admin/audit")
    # The names of the category and of the hidden listing, and the reason; the warned person's name and the reason; the
    # name of the person of the note.
    await is_text(page, "td", 6)
    await page.goto(f"/?q={ATTACK}")
    await expect(page.get_by_role("combobox", name="Search cars")).to_have_value(ATTACK)
    assert await page.evaluate("window.hacked === undefined")


async def test_the_policy_stops_injected_markup_and_code(site: Site, chromium: Browser) -> None:
    # This test does not use `open_page`, because Chromium reports each attempt as an error.
    page = await chromium.new_page(base_url=site.apis[0].url)
    await page.goto("/login")
    attempts = await page.evaluate(
        """async () => {
            const stopped = [];
            const attempt = (name, work) => { try { work(); } catch { stopped.push(name); } };
            attempt("innerHTML", () => { document.body.innerHTML = "<b>x</b>"; });
            attempt("policy", () => trustedTypes.createPolicy("mine", { createHTML: (text) => text }));
            attempt("lit again", () => trustedTypes.createPolicy("lit-html", { createHTML: (text) => text }));
            attempt("script address", () => { document.createElement("script").src = "https://example.com/x.js"; });
            return stopped;
        }"""
    )
    assert attempts == ["innerHTML", "policy", "lit again", "script address"]
    await page.close()
