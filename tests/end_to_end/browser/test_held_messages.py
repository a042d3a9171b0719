"""Nearly the same to many waits for a moderator: the sender, the recipient and the queue see what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, Route, expect

from shared.domain.users import Role
from tests.api.test_pictures import a_jpeg, form
from tests.end_to_end.browser.conftest import Open, Site
from tests.end_to_end.browser.test_accessibility import View, faults_of, long
from tests.end_to_end.browser.test_moderation import AT_ONCE_MS
from tests.support.client import Person, Rest
from tests.support.processes import Node

pytestmark = pytest.mark.asyncio(loop_scope="package")

OFFER = "Hello {}, I sell gold watches far below their price. Write to me, and I tell you more about this offer."


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def guarded(site: Site) -> AsyncIterator[Node]:
    """An API whose page and gateway hold messages; the others of the site have no limits."""
    gateway = await site.processes.gateway(RATE_LIMITS="on")
    api = await site.processes.api(GATEWAY_URL=gateway.url, RATE_LIMITS="on")
    yield api
    await api.stop()
    await gateway.stop()


async def spam(site: Site, guarded: Node, sender: Person, *more: Person) -> None:
    """Write nearly the same to as many people as may get it, and then to some more, for whom it is held."""
    people = [await site.person(f"Somebody{number}") for number in range(site.settings.similar_messages_people)]
    async with Rest(guarded.url) as rest:
        for to in (*people, *more):
            body = {"to": to.id, "message": OFFER.format(to.name)}
            await rest.call("POST", "/api/messages", 201, who=sender, body=body)


async def opened(open_page: Open, path: str, who: Person, api: Node | None = None) -> Page:
    page = await open_page(path, who, api=api)
    await expect(page.locator(".connection[data-state=live]")).to_be_visible()
    return page


async def write(page: Page, text: str) -> Locator:
    """The message in the thread, once it is stored."""
    await page.locator(".composer textarea").fill(text)
    await page.keyboard.press("Enter")
    message = page.locator(".message.mine[data-message]").filter(has_text=text)
    await expect(message).to_have_count(1)
    return message


async def test_a_held_message_that_a_moderator_delivers_arrives_at_once(
    site: Site, guarded: Node, open_page: Open
) -> None:
    mona = await site.person("Mona", Role.MODERATOR)
    ann, eve = await site.person("Ann"), await site.person("Eve")
    await spam(site, guarded, eve)
    monas, anns = await opened(open_page, "/moderation", mona), await opened(open_page, f"/messages/{eve.id}", ann)
    eves, second = [await opened(open_page, f"/messages/{ann.id}", eve, api) for api in (guarded, site.apis[1])]

    sent = await write(eves, OFFER.format("Ann"))
    for page in (eves, second):
        await expect(page.locator(".message.mine")).to_contain_text("Waiting for review", timeout=AT_ONCE_MS)
    group = monas.locator(f"[data-group='user {eve.id}']")
    await expect(group.locator(".flag")).to_have_text("Held", timeout=AT_ONCE_MS)
    await expect(group).to_contain_text("Nearly the same message to 1 more person, who has not got it:")
    await expect(group.locator("blockquote")).to_have_text(OFFER.format("Ann"))
    await eves.reload()
    await expect(sent).to_contain_text("Waiting for review")
    # Whoever would get it does not learn of it.
    await expect(anns.locator(".message")).to_have_count(0)

    await group.get_by_role("button", name="Deliver").click()
    await expect(monas.locator(".acts")).to_contain_text("The messages are delivered.")
    await expect(group).to_have_count(0)
    await expect(anns.locator(".message")).to_contain_text(OFFER.format("Ann"), timeout=AT_ONCE_MS)
    for page in (eves, second):
        await expect(page.locator(".message.mine")).not_to_contain_text("Waiting for review", timeout=AT_ONCE_MS)
        await expect(page.locator(".message.mine")).to_have_count(1)
    await expect(sent).to_contain_text("Read", timeout=AT_ONCE_MS)
    answer = await write(anns, "No, thank you.")
    await expect(answer).not_to_contain_text("Waiting for review")
    await expect(eves.locator(".message").last).to_contain_text("No, thank you.", timeout=AT_ONCE_MS)


async def test_a_held_message_that_is_kept_back_stays_with_its_sender(
    site: Site, guarded: Node, open_page: Open
) -> None:
    mona, otto = await site.person("Mona", Role.MODERATOR), await site.person("Otto", Role.MODERATOR)
    ann, eve = await site.person("Ann"), await site.person("Eve")
    await spam(site, guarded, eve, ann)
    monas, ottos = [await opened(open_page, "/moderation", one) for one in (mona, otto)]
    eves, anns = await opened(open_page, f"/messages/{ann.id}", eve, guarded), await opened(open_page, "/messages", ann)
    of_mona, of_otto = [page.locator(f"[data-group='user {eve.id}']") for page in (monas, ottos)]

    # Whoever looks at the group decides; the other one does not.
    await of_mona.focus()
    await expect(of_otto).to_contain_text("Mona is looking at this.", timeout=AT_ONCE_MS)
    await expect(of_otto.get_by_role("button", name="Deliver")).to_have_count(0)
    await expect(of_otto.get_by_role("button", name="Keep back")).to_have_count(0)
    await monas.keyboard.press("?")
    await expect(monas.get_by_role("dialog")).to_contain_text("Keep the held messages back")
    await monas.keyboard.press("Escape")
    await of_mona.focus()
    await monas.keyboard.press("b")
    await expect(monas.locator(".acts")).to_contain_text("The messages are kept back.")
    for group in (of_mona, of_otto):
        await expect(group).to_have_count(0, timeout=AT_ONCE_MS)

    await eves.reload()
    await expect(eves.locator(".message.mine")).to_contain_text("Waiting for review")
    # Something later tells that nothing else has come.
    await write(eves, "Good night.")
    await expect(anns.locator(f"[data-conversation='{eve.id}']")).to_contain_text("Good night.", timeout=AT_ONCE_MS)
    await anns.locator(f"[data-conversation='{eve.id}']").click()
    await expect(anns.locator(".message")).to_have_count(1)


async def test_who_decides_second_is_told_what_was_decided_first(site: Site, guarded: Node, open_page: Open) -> None:
    mona, otto = await site.person("Mona", Role.MODERATOR), await site.person("Otto", Role.MODERATOR)
    ann, eve = await site.person("Ann"), await site.person("Eve")
    await spam(site, guarded, eve, ann)
    page = await opened(open_page, "/moderation", mona)
    group = page.locator(f"[data-group='user {eve.id}']")
    deliver = group.get_by_role("button", name="Deliver")
    await expect(deliver).to_be_visible()
    [hold] = [
        one
        for one in (await site.rest.call("GET", "/api/holds", 200, who=otto))["data"]
        if one["person"]["id"] == eve.id
    ]

    async def decide_first(route: Route) -> None:
        body = {"decision": "kept"}
        await site.rest.call("PUT", f"/api/holds/{hold['id']}/decision", 200, who=otto, body=body)
        await route.continue_()

    await page.route(f"**/api/holds/{hold['id']}/decision", decide_first)
    await deliver.click()
    await expect(page.locator(".acts")).to_contain_text("Another moderator was faster: the messages are kept back.")


async def test_a_moderator_decides_about_what_the_page_has_shown(site: Site, guarded: Node, open_page: Open) -> None:
    mona, ann, bob, eve = (
        await site.person("Mona", Role.MODERATOR),
        *[await site.person(n) for n in ("Ann", "Bob", "Eve")],
    )
    picture = await site.rest.call("POST", "/api/messages/pictures", 201, who=eve, data=form(a_jpeg()))
    await spam(site, guarded, eve, ann)
    body = {"to": bob.id, "message": OFFER.format("Bob"), "pictures": [picture["id"]]}
    async with Rest(guarded.url) as rest:
        await rest.call("POST", "/api/messages", 201, who=eve, body=body)
    page = await opened(open_page, "/moderation", mona)
    group = page.locator(f"[data-group='user {eve.id}']")
    await expect(group.locator("blockquote")).to_have_text([OFFER.format("Bob"), OFFER.format("Ann")])
    # The picture is fetched when somebody asks for it, because the audit log tells of it.
    await expect(group).to_contain_text("Each look is in the audit log.")
    await expect(group.locator("img")).to_have_count(0)
    await group.get_by_role("button", name="Show the picture").click()
    await expect(group.get_by_role("img", name="Picture 1 of 1 from Eve")).to_have_js_property("complete", True)
    await expect(group.locator("img[src^='blob:']")).to_have_count(1)

    async def send_more(route: Route) -> None:
        async with Rest(guarded.url) as rest:
            carl = await site.person("Carl")
            more = {"to": carl.id, "message": OFFER.format("Carl")}
            await rest.call("POST", "/api/messages", 201, who=eve, body=more)
        await route.continue_()

    await page.route("**/api/holds/*/decision", send_more)
    await group.get_by_role("button", name="Deliver").click()
    await expect(page.locator(".acts")).to_contain_text("The messages are delivered.")
    await expect(group.locator("blockquote")).to_have_text([OFFER.format("Carl")], timeout=AT_ONCE_MS)


# axe reads every element of each view, which takes long on a busy machine.
@pytest.mark.timeout(480)
async def test_no_view_of_a_held_message_has_a_serious_fault(site: Site, guarded: Node, open_page: Open) -> None:
    mona = await site.person("Mona", Role.MODERATOR)
    ann, eve = await site.person(f"A{long(49)}"), await site.person(f"E{long(49)}")
    await spam(site, guarded, eve, ann)
    for person, view in (
        (mona, View("/moderation", (f"[data-group='user {eve.id}'] blockquote",))),
        (eve, View(f"/messages/{ann.id}", (".message .held",))),
    ):
        page = await open_page("/login", person, bypass_csp=True)
        faults = await faults_of(page, view)
        assert not faults, "\n".join(faults)
