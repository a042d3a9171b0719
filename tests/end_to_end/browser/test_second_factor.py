"""A second step at log-in, as a person turns it on and uses it: the QR code, the first code, recovery codes."""

from __future__ import annotations

import time

import pyotp
import pytest
from playwright.async_api import Page, expect

from tests.end_to_end.browser.conftest import Open, Site
from tests.support.client import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def log_in(page: Page, email: str, code: str) -> None:
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    # Only now the form asks for it, and what was typed is still there.
    await expect(page.get_by_label("Code")).to_be_focused()
    await page.get_by_label("Code").fill("000000")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_text("The code is wrong, or was used before.")).to_be_visible()
    await page.get_by_label("Code").fill(code)
    await page.get_by_role("button", name="Log in").click()


async def begin(page: Page, password: str) -> None:
    """Ask for a second step on the page of the account."""
    await page.get_by_text("Turn it on").click()
    form = page.locator("#second-factor-begin")
    await form.get_by_label("Current password").fill(password)
    await form.get_by_role("button").click()


async def confirm(page: Page) -> tuple[pyotp.TOTP, str]:
    """Give the first code. Returns what makes codes, and a recovery code."""
    totp = pyotp.TOTP((await page.locator(".secret").inner_text()).replace(" ", ""))
    await page.get_by_label("Code from the app").fill(totp.at(int(time.time())))
    await page.get_by_role("button", name="Turn it on").click()
    codes = page.locator(".recovery-codes li")
    await expect(codes).to_have_count(10)
    return totp, await codes.first.inner_text()


async def test_a_second_step_is_turned_on_and_asked_for_at_the_next_log_in(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann")
    page = await open_page("/account", ann)
    await begin(page, PASSWORD)
    code = page.get_by_role("img", name="QR code")
    await expect(code).to_be_visible()
    box = await code.bounding_box()
    assert box is not None
    assert box["width"] == box["height"] > 100
    totp, recovery = await confirm(page)
    await page.reload()
    await expect(page.get_by_text("10 recovery codes are left.")).to_be_visible()
    await expect(page.locator(".recovery-codes li")).to_have_count(0)

    other = await open_page("/login")
    await log_in(other, ann.email, recovery)
    await expect(other.get_by_role("link", name="Ann")).to_be_visible()
    third = await open_page("/login?next=/account")
    # The present code may have been used. A phone may be a little ahead.
    await log_in(third, ann.email, totp.at(int(time.time()) + 30))
    await expect(third.get_by_text("9 recovery codes are left.")).to_be_visible()
