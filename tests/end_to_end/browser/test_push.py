"""Push messages in the browser: the switch under "Account", what the service worker shows, and what a press opens.

Chromium subscribes with a server of its maker, which tests do not talk to: its `PushManager.subscribe` stands for one
that has answered. Everything else is Chromium's own: the worker, the delivery of the message, the notification.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.end_to_end.browser.chromium import FLAGS
from tests.end_to_end.browser.conftest import PATIENCE_MS, Open, Site, logged_in
from tests.support.client import PASSWORD, Person
from tests.support.database import query
from tests.support.push_service import PushBrowser
from tests.support.waiting import until

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="package")]

SUBSCRIBE = """given => {
    let current = null;
    PushManager.prototype.getSubscription = async () => current;
    PushManager.prototype.subscribe = async ({ applicationServerKey }) => (current = {
        endpoint: given.endpoint,
        options: { applicationServerKey: applicationServerKey.buffer },
        toJSON: () => given,
        unsubscribe: async () => { current = null; localStorage.setItem("unsubscribed", "yes"); return true; },
    });
}"""
WAIT = "await new Promise((go) => setTimeout(go, 20))"
TRIES = 6
UNTIL = f"async () => {{ for (let left = 250; left && !(CONDITION); left--) {WAIT}; return CONDITION; }}"
SHOWN = """navigator.serviceWorker.ready.then((one) => one.getNotifications())
    .then((all) => all.map(({ title, body }) => [title, body]))"""


@pytest_asyncio.fixture(loop_scope="package")
async def with_notifications(site: Site) -> AsyncIterator[Browser]:
    """The whole Chromium: the one that is only for programs shows no notifications."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome-stable")
    if path is None:
        pytest.skip("no Chromium with notifications on this machine")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


async def told(browser: Browser, site: Site, person: Person) -> tuple[BrowserContext, Page]:
    """Opens the account of a person whose browser may show notifications."""
    url = site.apis[0].url
    state = logged_in(person, site.roles[person.id], url)
    context = await browser.new_context(base_url=url, storage_state=state, locale="en-US")
    context.set_default_timeout(PATIENCE_MS)
    await context.grant_permissions(["notifications"], origin=url)
    body = PushBrowser(f"https://push.example.com/{person.id}").body()
    await context.add_init_script(f"({SUBSCRIBE})({json.dumps(body)})")
    page = await context.new_page()
    await page.goto("/account")
    return context, page


def subscriptions(site: Site, person: Person) -> list[Any]:
    sql = "SELECT shows_text FROM push_subscriptions WHERE user_id = %s"
    return [row[0] for row in query(site.settings.database_url, sql, person.id)]


async def test_somebody_is_told_from_a_press_on_until_another_or_until_the_log_out(
    site: Site, with_notifications: Browser
) -> None:
    ann = await site.person("Ann")
    _, page = await told(with_notifications, site, ann)
    switch, text = page.get_by_label("Tell me on this device"), page.get_by_label("Show what was written")
    await switch.check()
    await expect(page.get_by_text("This device is told from now on.")).to_be_visible()
    await expect(text).not_to_be_checked()
    assert subscriptions(site, ann) == [False]
    await text.check()
    await expect(page.get_by_text("Saved.")).to_be_visible()
    assert subscriptions(site, ann) == [True]
    # What the server has lost is renewed when the page is opened.
    query(site.settings.database_url, "DELETE FROM push_subscriptions RETURNING 1")
    await page.reload()
    await until(lambda: subscriptions(site, ann) == [True], 30.0)
    await page.reload()
    await expect(text).to_be_checked()
    await switch.uncheck()
    await expect(page.get_by_text("This device is told of nothing more.")).to_be_visible()
    assert subscriptions(site, ann) == []
    await page.evaluate("localStorage.removeItem('unsubscribed')")
    await switch.check()
    await expect(page.get_by_text("This device is told from now on.")).to_be_visible()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_text("You are logged out.")).to_be_visible()
    assert subscriptions(site, ann) == []
    await page.wait_for_function("localStorage.getItem('unsubscribed') === 'yes'")


async def test_the_link_in_a_mail_leads_to_the_conversation_after_the_log_in(site: Site, open_page: Open) -> None:
    ann, bob = await site.person("Ann"), await site.person("Bob")
    await site.rest.call("POST", "/api/messages", 201, who=bob, body={"to": ann.id, "message": "Is it still there?"})
    page = await open_page(f"/messages/{bob.id}")
    await page.get_by_label("E-mail address").fill(ann.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("main").get_by_role("button", name="Log in").click()
    await page.wait_for_url(f"**/messages/{bob.id}")
    await expect(page.locator("main").get_by_text("Is it still there?").first).to_be_visible()


async def test_a_push_message_is_shown_while_nobody_looks_and_a_press_opens_what_it_is_about(
    site: Site, with_notifications: Browser
) -> None:
    ann, bob = await site.person("Ann"), await site.person("Bob")
    context, page = await told(with_notifications, site, ann)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.get_by_label("Tell me on this device").check()
    await expect(page.get_by_text("This device is told from now on.")).to_be_visible()
    session = await context.new_cdp_session(page)
    registrations: list[Any] = []
    session.on("ServiceWorker.workerRegistrationUpdated", lambda event: registrations.extend(event["registrations"]))
    await session.send("ServiceWorker.enable")
    await until(lambda: bool(registrations), 30.0)

    async def deliver(data: str) -> None:
        whole = {"origin": site.apis[0].url, "registrationId": registrations[0]["registrationId"], "data": data}
        await session.send("ServiceWorker.deliverPushMessage", whole)

    worker = context.service_workers[0]

    async def delivered(*messages: str, until: str) -> None:
        """Deliver them, and once more if they have not arrived: Chromium's command answers before it is done."""
        for _ in range(TRIES):
            for message in messages:
                await deliver(message)
            if await worker.evaluate(UNTIL.replace("CONDITION", until)):
                return
        raise AssertionError(f"not seen in the worker: {until}")

    news = {"title": "Bob", "body": "About Fiat Panda", "url": f"/messages/{bob.id}", "tag": f"conversation {bob.id}"}
    # Whoever looks at the page sees the message there. The worker decides when it has asked for the pages.
    await worker.evaluate(
        """() => {
            const ask = self.clients.matchAll.bind(self.clients);
            self.asked = 0;
            self.clients.matchAll = async (options) => {
                const found = await ask(options);
                self.asked += 1;
                return found;
            };
        }"""
    )
    await delivered(json.dumps({**news, "body": "looked at"}), until="self.asked > 0")
    await page.goto("about:blank")
    await session.send("ServiceWorker.enable")
    bodies = [json.dumps({**news, "body": body}) for body in ("One new message", "About Fiat Panda")]
    await delivered(*bodies, "no JSON", until="(await self.registration.getNotifications()).length === 2")
    press = """async (title) => {
        self.clients.openWindow = async (address) => { self.opened = address; };
        const all = await self.registration.getNotifications();
        const notification = all.find((one) => one.title === title);
        self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
        while (self.opened === undefined && title === "Daveslist") WAIT;
        return self.opened;
    }""".replace("WAIT", WAIT)
    # Without an open tab, a new one is opened.
    assert await worker.evaluate(press, "Daveslist") == "/"
    await page.goto("/alerts")
    await expect(page.get_by_role("heading", name="Alerts")).to_be_visible()
    assert await page.evaluate(SHOWN) == [["Bob", "About Fiat Panda"]]
    await page.evaluate("window.isSame = true")
    await worker.evaluate(press, "Bob")
    await page.wait_for_url(f"**/messages/{bob.id}")
    # It was not loaded again.
    assert await page.evaluate("window.isSame") is True
    assert await page.evaluate(SHOWN) == []
    assert not faults
