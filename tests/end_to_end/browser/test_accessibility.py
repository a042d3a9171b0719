"""axe finds no serious fault on any view, light and dark, on a desktop and a phone; and the keyboard is enough."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Page, ViewportSize, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site
from tests.end_to_end.browser.test_first_view import held
from tests.support.client import Person
from tests.support.vendored import PACKAGES

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    # axe reads every element of each view, which takes long on a busy machine.
    pytest.mark.timeout(480),
]

AXE = PACKAGES / "axe-core" / "axe.min.js"
CHECK = """async (rules) => {
    const { violations } = await axe.run({ resultTypes: ["violations"], ...(rules && { runOnly: rules }) });
    return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target}: ${failureSummary}`));
}"""
# Most rules are about the document. The outcome of these depends on colours and on sizes.
OF_COLOURS = ["color-contrast", "link-in-text-block"]
OF_SIZES = ["target-size", "scrollable-region-focusable"]
DESKTOP: ViewportSize = {"width": 1350, "height": 940}
PHONE: ViewportSize = {"width": 390, "height": 844}
NARROW: ViewportSize = {"width": 320, "height": 640}
"""A window of 640 pixels at a zoom of 200 %, or of 1280 at 400 %, which WCAG asks for (1.4.10)."""
Look = tuple[ViewportSize, Literal["light", "dark"], list[str] | None]
"""Without rules, all are checked."""
LOOKS: dict[str, list[Look]] = {
    "everywhere": [
        (DESKTOP, "light", None),
        (DESKTOP, "dark", OF_COLOURS),
        (PHONE, "dark", OF_COLOURS),
        (PHONE, "light", [*OF_COLOURS, *OF_SIZES]),
        (NARROW, "light", OF_SIZES),
    ],
    "phone": [(PHONE, "light", None), (PHONE, "dark", OF_COLOURS), (NARROW, "light", OF_SIZES)],
}
_OVERFLOW = """() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const isWide = (one) => one.getBoundingClientRect().right > clientWidth + 1 && one.checkVisibility();
    const wide = [...document.querySelectorAll("body *")].filter(isWide).slice(0, 4);
    return [`${scrollWidth} wide: ${wide.map((one) => `${one.localName}.${one.className}`).join(", ")}`];
}"""


_MOTION = """() => {
    const isStill = ({ transitionDuration, animationName, scrollBehavior }) =>
        transitionDuration === "0s" && animationName === "none" && scrollBehavior === "auto";
    const all = [document.documentElement, ...document.querySelectorAll("body, body *")];
    const moving = all.filter((one) => !isStill(getComputedStyle(one)));
    return moving.slice(0, 4).map((one) => `${one.localName}.${one.className} moves`);
}"""


@dataclass(frozen=True, slots=True)
class View:
    path: str
    press: tuple[str, ...] = ()
    """The selectors of what is pressed one after the other, to open a dialog or a menu."""
    where: Literal["everywhere", "phone"] = "everywhere"

    def __str__(self) -> str:
        return " > ".join((self.path, *self.press))


async def faults_of(page: Page, view: View) -> list[str]:
    """Open the view once; look at it in light and dark, wide, on a phone, and on a narrow screen."""
    # Nothing moves for who does not want it. So colours are what they will be at once.
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    await page.set_viewport_size(DESKTOP if view.where == "everywhere" else PHONE)
    await page.goto(view.path)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.locator("main")).not_to_contain_text("Loading…")
    if view.path != "/api/docs":
        await expect(page.locator("#announcer")).to_have_count(1)
    for selector in view.press:
        await page.locator(selector).first.click()
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    faults = [f"{view}: {fault}" for fault in await page.evaluate(_MOTION)]
    for size, scheme, rules in LOOKS[view.where]:
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size(size)
        # What is half below the header, which stays, cannot be pressed there. It can after scrolling.
        await page.evaluate("scrollTo(0, 0)")
        found: list[Any] = [*await page.evaluate(CHECK, rules), *await page.evaluate(_OVERFLOW)]
        faults += [f"{view}, {size['width']} wide, {scheme}: {fault}" for fault in found]
    return faults


def long(letters: int) -> str:
    """A word of so many letters, as German has them, or an address without a space."""
    return ("Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * (letters // 50 + 1))[:letters]


@dataclass(frozen=True, slots=True)
class Populated:
    """A person, or None for a visitor, and what this person looks at."""

    seen_by: dict[str, tuple[Person | None, list[View]]]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def populated(site: Site) -> Populated:
    """There are long words everywhere."""
    admin, ann = await site.person(long(50), Role.ADMIN), await site.person(f"A{long(49)}")
    category = await site.category(long(30), admin)
    facts = {"make": "Honda", "year": 2010, "mileage": 90_000, "price": 5000, "fuel": "diesel", "location": long(100)}
    listing = await site.listing(ann, category, "A car", **facts)
    wide = await site.listing(ann, category, long(80), content=long(5000), make=long(100), model=long(100))
    hidden = await site.listing(ann, category, f"Hidden {long(70)}", visibility="private")
    trashed = await site.listing(ann, category, f"Trashed {long(70)}")
    for one, colours in ((listing, ("red", "blue")), (wide, ("green",))):
        for colour in colours:
            await site.picture(ann, one, colour)
    call = site.rest.call
    await call("POST", f"/api/listings/{listing}/replies", 201, who=admin, body={"text": long(255)})
    report = {"reason": "spam", "text": long(1000)}
    await call("POST", f"/api/listings/{wide}/reports", 201, who=admin, body=report)
    await call("PUT", f"/api/listings/{hidden}/hidden", 200, who=admin, body={"reason": long(200)})
    await call("DELETE", f"/api/listings/{trashed}", 204, who=ann)
    # The program finds two cars with one VIN.
    for seller in (admin, ann):
        await site.listing(seller, category, long(80), vin="1HGBH41JXMN109186")
    warning = await call("POST", f"/api/users/{ann.id}/warnings", 201, who=admin, body={"reason": long(500)})
    await call("PUT", f"/api/me/warnings/{warning['id']}/read", 204, who=ann)
    for sanction in (await call("GET", "/api/me/sanctions", 200, who=ann))["data"]:
        body = {"token": sanction["objection_token"], "text": long(500)}
        await call("POST", "/api/objections", 201, body=body)
    await call("POST", f"/api/users/{ann.id}/notes", 201, who=admin, body={"text": long(500)})
    warned = await site.person(f"W{long(49)}")
    await call("POST", f"/api/users/{warned.id}/warnings", 201, who=admin, body={"reason": long(500)})
    body = {"to": admin.id, "message": "Hello", "listing_id": listing}
    told = await call("POST", "/api/messages", 201, who=ann, body=body)
    await call("POST", f"/api/messages/{told['id']}/reports", 201, who=admin, body=report)
    await call("POST", "/api/messages", 201, who=admin, body={"to": ann.id, "message": long(4000), "listing_id": wide})
    for one in (listing, wide):
        await call("PUT", f"/api/listings/{one}/favourite", 204, who=admin)
    await call("POST", "/api/searches", 201, who=admin, body={"name": long(100), "query": {}})
    for price in (4500, 4000):
        await call("PATCH", f"/api/listings/{listing}", 200, who=ann, body={"price": price})
    await site.told()
    car, filters, menu = f"/listings/{listing}", ".filters > summary", ".menu-button"
    anyone = [
        *(View("/"), View("/", (filters,), "phone"), View(f"/?q={long(200)}&make={long(100)}&sort=price")),
        *(View("/?price_min=x&near=nowhere"), View(f"/?seller_id={ann.id}"), View(f"/?category_id={category}")),
        *(View(car), View(f"/listings/{wide}", (".gallery-open",)), View("/nowhere"), View("/listings/999999999")),
        *(View("/login", ("main form .primary",)), View("/register", ("main form .primary",))),
        *(View("/password/forgotten"), View("/password/reset"), View("/address/confirm")),
        *(View("/objection"), View("/objection#token")),
        View("/api/docs", ("details summary", "#accounts_register summary")),
    ]
    theirs = [
        *(View("/"), View("/", (menu,), "phone"), View(car, ('button:text-is("Hide")',))),
        *(View(f"/listings/{hidden}", ('button:text-is("Report")',)), View("/messages"), View(f"/messages/{ann.id}")),
        View(f"/messages/{ann.id}", (".thread-head .menu summary",), "phone"),
        View(f"/messages/{ann.id}", (".thread-head .menu summary", 'button:text-is("Block")')),
        *(View("/alerts"), View("/searches")),
        *(View("/favourites"), View("/account"), View("/moderation", ('button:text-is("Hide")',))),
        View("/moderation", (".done-before summary", 'button:text-is("Show the messages around it")')),
        View("/moderation", ('button:text-is("Keyboard shortcuts")',)),
        *(View(f"/moderation/people/{ann.id}", ('button:text-is("Suspend")',)), View("/moderation/objections")),
        View("/moderation/people/999999999"),
        View("/moderation/objections", ('button:text-is("Decide")',)),
        *(View("/moderation/hidden"), View("/moderation/trash", ('button:text-is("Restore")',))),
        View("/moderation/categories", ('button:text-is("Change")',)),
        *(View("/admin", ('button:text-is("Ban")',)), View("/admin/audit"), View(f"/admin/system?user={ann.id}")),
    ]
    sellers = [
        *(View("/listings/new", ("main form .primary",)), View(f"/listings/{wide}/edit")),
        *(View(car, ('button:text-is("Delete")',)), View(f"/?seller_id={ann.id}"), View("/favourites")),
        *(View("/account", ("main details summary",)), View("/admin"), View("/account/sanctions")),
        View("/listings/deleted"),
    ]
    dialog = [View("/"), View("/", (), "phone")]
    return Populated(
        {
            "visitor": (None, anyone),
            "admin": (admin, theirs),
            "seller": (ann, sellers),
            "warned": (warned, dialog),
        }
    )


@pytest.mark.parametrize("who", ["visitor", "admin", "seller", "warned"])
async def test_no_view_has_a_serious_fault_light_or_dark_wide_or_narrow(
    populated: Populated, open_page: Open, who: str
) -> None:
    person, views = populated.seen_by[who]
    # axe puts styles into the page, which the content security policy would stop.
    page = await open_page("/login", person, bypass_csp=True)
    faults = [fault for view in views for fault in await faults_of(page, view)]
    assert not faults, "\n".join(faults)


async def test_a_heading_that_comes_late_takes_the_focus_from_nobody(site: Site, open_page: Open) -> None:
    mod, seller = await site.person("Mona", Role.MODERATOR), await site.person("Ann")
    car = await site.listing(seller, await site.category("Any", mod), "A slow car")
    page = await open_page("/", seller)
    await expect(page.get_by_role("link", name="Ann", exact=True)).to_be_visible()
    heading = page.get_by_role("heading", level=1)
    sell = page.get_by_role("link", name="Sell a car")
    for has_moved_on in (False, True):
        release = await held(page, f"**/api/listings/{car}")
        await page.get_by_role("link", name="A slow car").focus()
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(f"/listings/{car}$"))
        await expect(heading).to_have_count(0)
        if has_moved_on:
            await sell.focus()
        await release()
        await expect(heading).to_have_text("A slow car")
        await expect(sell if has_moved_on else heading).to_be_focused()
        await page.go_back()
        await expect(heading).to_have_text("Used cars")
        await page.unroute_all()


async def test_the_keyboard_is_enough_to_open_a_car_and_use_a_dialog(site: Site, open_page: Open) -> None:
    mod = await site.person("Mona", Role.MODERATOR)
    seller = await site.person("Ann")
    await site.listing(seller, await site.category("Any", mod), "A car for the keyboard")
    page = await open_page("/", mod)
    await expect(page.get_by_role("link", name="A car for the keyboard")).to_be_visible()
    # The modules have taken over the document that the server sent.
    await expect(page.get_by_role("link", name="Mona")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await page.get_by_role("link", name="A car for the keyboard").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    hide = page.get_by_role("button", name="Hide")
    await hide.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("For how long")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(hide).to_be_focused()
