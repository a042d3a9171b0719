"""A passkey, with Chromium's own virtual device: it is made under the account, and logs in where a password would."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.end_to_end.browser.conftest import Open, Site
from tests.support.client import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="package")

DEVICE = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}


class Named:
    """An API by its name: an address of digits can have no passkeys."""

    def __init__(self, url: str) -> None:
        self.url = url.replace("127.0.0.1", "localhost")


async def device_of(page: Page, *, is_verified: bool = True) -> Any:
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    options = {**DEVICE, "isUserVerified": is_verified, "automaticPresenceSimulation": True}
    added = await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devtools, added["authenticatorId"]


async def test_a_passkey_is_added_logs_in_and_is_removed(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann")
    here: Any = Named(site.apis[0].url)
    page = await open_page("/account", ann, api=here)
    devtools, device = await device_of(page)
    await page.get_by_text("Add a passkey").first.click()
    form = page.locator("#passkey")
    await form.get_by_label("Name of the passkey").fill("Ann's phone")
    await form.get_by_label("Current password").fill(PASSWORD)
    await form.get_by_role("button", name="Add a passkey").click()
    row = page.locator("[data-passkey]")
    await expect(row).to_contain_text("Ann's phone")
    stored = (await devtools.send("WebAuthn.getCredentials", {"authenticatorId": device}))["credentials"]
    assert [one["rpId"] for one in stored] == ["localhost"]

    # The device stays with the page; only the session ends.
    await page.get_by_role("button", name="Log out", exact=True).first.click()
    await page.goto("/login?next=/account")
    await page.get_by_role("button", name="Log in with a passkey").click()
    await expect(row).to_contain_text("used just now")
    assert page.url.endswith("/account")

    await row.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Current password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Remove").click()
    await expect(row).to_have_count(0)
    await page.get_by_role("button", name="Log out", exact=True).first.click()
    await page.goto("/login")
    await page.get_by_role("button", name="Log in with a passkey").click()
    await expect(page.get_by_text("The passkey was refused.")).to_be_visible()


async def test_an_address_without_a_name_offers_no_passkeys(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann")
    page = await open_page("/account", ann)
    await expect(page.locator("[data-session]")).to_have_count(1)
    await expect(page.get_by_text("Add a passkey")).to_have_count(0)
    page = await open_page("/login")
    await expect(page.get_by_role("button", name="Log in", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="Log in with a passkey")).to_have_count(0)
