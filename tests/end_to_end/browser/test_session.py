"""A user stays logged in after reloads and after the end of an access token, until the session ends."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page, WebSocket, expect

from tests.end_to_end.browser.conftest import Open, Site
from tests.support.client import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="package")

SPOIL = """() => {
    const session = JSON.parse(localStorage.getItem("daveslist.session"));
    localStorage.setItem("daveslist.session", JSON.stringify({ ...session, ...%s }));
}"""


async def is_logged_in(page: Page, name: str) -> None:
    await expect(page.get_by_role("link", name=name)).to_be_visible()
    await expect(page.locator(".connection[data-state=live]")).to_be_visible()


async def test_a_session_goes_on_after_reloads_and_after_its_access_tokens_expire(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann")
    page = await open_page("/account", ann)
    await is_logged_in(page, "Ann")
    await page.evaluate(SPOIL % '{ refresh_at: Date.now() - 1000, access_token: "old" }')
    await page.reload()
    await is_logged_in(page, "Ann")
    await page.evaluate(SPOIL % '{ access_token: "a token that the server refuses" }')
    await page.reload()
    await is_logged_in(page, "Ann")
    await expect(page.get_by_text("You have blocked nobody.")).to_be_visible()


async def test_the_live_connection_goes_on_after_access_tokens_expire(site: Site, open_page: Open) -> None:
    api = await site.processes.api(GATEWAY_URL=site.gateways[0].url, ACCESS_TOKEN_SECONDS="4")
    ann = await site.person("Ann")
    page = await open_page("/login", api=api)
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))
    await page.get_by_label("E-mail address").fill(ann.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await is_logged_in(page, "Ann")
    # Both tabs share one refresh token, and a second use of it would end the session.
    other_tab = await page.context.new_page()
    await other_tab.goto("/account")
    # Wait until the access token that opened the connection has long expired.
    for _ in range(3):
        response = await page.context.wait_for_event("response", lambda one: one.url.endswith("/api/token/refresh"))
        assert response.ok
    for tab in (page, other_tab):
        await is_logged_in(tab, "Ann")
    assert [socket.is_closed() for socket in sockets] == [False]
    await api.stop()


async def test_the_page_says_at_once_that_the_user_was_logged_out_elsewhere(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann")
    page = await open_page("/messages", ann)
    await is_logged_in(page, "Ann")
    await site.rest.call("POST", "/api/logout", 204, who=ann)
    await expect(page.get_by_text("You have been logged out. Please log in again.")).to_be_visible()
    await expect(page.locator(".connection")).to_have_count(0)
    assert await page.evaluate("localStorage.length") == 0


async def test_a_log_in_sends_the_device_id_of_the_last_log_in_in_this_browser(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann")
    page = await open_page("/login")
    sent, answered = [], []
    for _ in range(2):
        await page.get_by_label("E-mail address").fill(ann.email)
        await page.get_by_label("Password").fill(PASSWORD)
        async with page.expect_response("**/api/login") as waiting:
            await page.get_by_role("button", name="Log in").click()
        response = await waiting.value
        sent.append((response.request.post_data_json or {}).get("device_id"))
        answered.append((await response.json())["device_id"])
        await is_logged_in(page, "Ann")
        assert "device_id" not in await page.evaluate('localStorage.getItem("daveslist.session")')
        await page.evaluate('localStorage.removeItem("daveslist.session"); indexedDB.deleteDatabase("daveslist")')
        await page.goto("/login")
    assert sent == [None, answered[0]]
    assert answered[1] == answered[0]


async def test_no_address_of_a_link_leads_elsewhere_after_the_log_in(site: Site, open_page: Open) -> None:
    page = await open_page("/login", await site.person("Ann"))
    for address, where in {
        "/favourites?a=%2F": "/favourites?a=%2F",
        "/\\\\evil.example/": "/",
        "//evil.example/": "/",
        "\\evil.example/": "/",
        "favourites": "/",
        "/\t/[": "/",
        "https://evil.example/": "/",
        "/.//evil.example": "/",
        "javascript:alert(1)": "/",
        "http://[": "/",
        "/login?next=/login": "/",
        "/API/docs": "/",
        "": "/",
        # As the server does.
        "/Favourites/?a=B": "/favourites?a=B",
        "/LISTINGS//NEW": "/listings/new",
    }.items():
        await page.goto(f"/login?{urlencode({'next': address})}")
        await expect(page.get_by_role("link", name="Ann")).to_be_visible()
        await expect(page).to_have_url(site.apis[0].url + where)


async def test_who_goes_from_the_log_in_to_the_registration_and_back_still_comes_to_the_address(
    site: Site, open_page: Open
) -> None:
    page = await open_page("/favourites")
    main = page.locator("main")
    await main.get_by_role("link", name="Register").click()
    await main.get_by_role("link", name="Log in").click()
    ann = await site.person("Ann")
    await page.get_by_label("E-mail address").fill(ann.email)
    await page.get_by_label("Password").fill(PASSWORD)
    await main.get_by_role("button", name="Log in", exact=True).click()
    await expect(page).to_have_url(f"{site.apis[0].url}/favourites")


async def test_the_gateways_address_redirects_to_the_page(site: Site, open_page: Open) -> None:
    gateway = await site.processes.gateway(API_PORT=str(site.apis[0].port))
    page = await open_page("/")
    await page.goto(gateway.url)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Used cars")
    assert page.url == f"{site.apis[0].url}/"


async def test_the_form_says_how_hard_a_new_password_is_to_guess(site: Site, open_page: Open) -> None:
    page = await open_page("/register")
    said, field = page.locator(".password-meter [role=status]"), page.get_by_label("Password")
    await page.get_by_label("Name").fill("Zo\u00eb Quill")
    for password, words in (
        ("Password12345678", "easy to guess"),
        ("zo\u00eb quill 1", "name"),
        ("correct horse battery", "Very hard to guess."),
    ):
        await field.fill(password)
        await expect(said).to_contain_text(words)
    await field.fill("short")
    await expect(said).to_be_empty()
    await page.get_by_label("E-mail address").fill(" zoe-quill@example.com ")
    await field.fill("correct horse battery")
    await page.get_by_role("button", name="Register").click()
    await is_logged_in(page, "Zo\u00eb Quill")


async def test_the_account_shows_where_one_is_logged_in_and_logs_out_there(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann")
    other = await open_page("/login")
    await other.get_by_label("E-mail address").fill(ann.email)
    await other.get_by_label("Password").fill(PASSWORD)
    await other.get_by_role("button", name="Log in").click()
    await is_logged_in(other, "Ann")
    page = await open_page("/account", ann)
    rows = page.locator("[data-session]")
    await expect(rows).to_have_count(2)
    await expect(rows.filter(has_text="(this one)")).to_have_count(1)
    elsewhere = rows.filter(has_not_text="(this one)")
    await expect(elsewhere).to_contain_text(re.compile("Chrome on "))
    await expect(elsewhere).to_contain_text("from 127.0.0.1")
    await elsewhere.get_by_role("button", name="Log out").click()
    await expect(rows).to_have_count(1)
    # Its socket was closed, so it notices at once.
    await expect(other.get_by_text("You have been logged out. Please log in again.")).to_be_visible()
