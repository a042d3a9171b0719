"""Nobody loses the account and nobody misses a message: the whole way of one person, through a browser and mails."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import Page, expect

from tests.end_to_end.browser.conftest import Open, Site
from tests.end_to_end.browser.test_second_factor import begin, confirm
from tests.support.database import query
from tests.support.waiting import until
from tests.support.written_mails import link_in_mail

pytestmark = pytest.mark.asyncio(loop_scope="package")

EMAIL = "ann.on.her.way@example.com"
FIRST = "a first good battery"
NEW = "another good battery"


async def log_in(page: Page, code: str) -> None:
    main = page.get_by_role("main")
    await main.get_by_label("E-mail address").fill(EMAIL)
    await main.get_by_label("Password", exact=True).fill(NEW)
    await main.get_by_role("button", name="Log in", exact=True).click()
    await page.get_by_label("Code").fill(code)
    await main.get_by_role("button", name="Log in", exact=True).click()


async def log_out(page: Page) -> None:
    await page.get_by_role("button", name="Log out", exact=True).first.click()
    await expect(page.get_by_text("You are logged out.")).to_be_visible()


def is_mailed_about_messages(site: Site, user_id: int) -> bool:
    """Returns whether the mail is in the outbox or was sent, and lets a minute pass for whoever decides about it."""
    whose = "way = 'mail' AND user_id = %s"
    passing = f"due_at = now(), away_since = away_since - interval '1 minute' WHERE {whose} AND due_at IS NOT NULL"
    query(site.settings.database_url, f"UPDATE waiting_news SET {passing}", user_id)
    return bool(query(site.settings.database_url, f"SELECT 1 FROM waiting_news WHERE told_id > 0 AND {whose}", user_id))


async def test_somebody_registers_forgets_the_password_leaves_and_comes_back_by_the_mail_about_a_message(
    site: Site, open_page: Open
) -> None:
    page = await open_page("/register")
    await page.get_by_label("Name").fill("Ann")
    await page.get_by_label("E-mail address").fill(EMAIL)
    await page.get_by_role("textbox", name="Password").fill(FIRST)
    await page.get_by_role("button", name="Register").click()
    await expect(page.get_by_role("link", name="Ann")).to_be_visible()
    await page.goto(await link_in_mail(site.settings, EMAIL, "/address/confirm"))
    await page.get_by_role("button", name="Confirm the address").click()
    await expect(page.get_by_text("Your e-mail address is confirmed.")).to_be_visible()
    await log_out(page)

    await page.goto("/login")
    await page.get_by_role("link", name="Forgot your password?").click()
    await page.get_by_label("E-mail address").fill(EMAIL)
    await page.get_by_role("button", name="Send the mail").click()
    await page.goto(await link_in_mail(site.settings, EMAIL, "/password/reset"))
    await page.get_by_role("textbox", name="New password").fill(NEW)
    await page.get_by_role("button", name="Set the password").click()
    await expect(page.get_by_text("Your new password is set. Please log in with it.")).to_be_visible()
    main = page.get_by_role("main")
    await main.get_by_label("E-mail address").fill(EMAIL)
    await main.get_by_label("Password", exact=True).fill(NEW)
    await main.get_by_role("button", name="Log in", exact=True).click()
    await expect(page.get_by_role("link", name="Ann")).to_be_visible()

    await page.goto("/account")
    await begin(page, NEW)
    totp, recovery = await confirm(page)
    await log_out(page)
    await page.goto("/login?next=/account")
    # The present code may have been used. A phone may be a little ahead.
    await log_in(page, totp.at(int(time.time()) + 30))
    await expect(page.get_by_text("10 recovery codes are left.")).to_be_visible()
    ann = await page.evaluate("JSON.parse(localStorage.getItem('daveslist.session')).user.id")
    await page.context.close()

    bob = await site.person("Bob")
    await site.rest.call("POST", "/api/messages", 201, who=bob, body={"to": ann, "message": "Is it still there?"})
    url = site.settings.database_url
    query(url, "UPDATE messages SET inserted_at = inserted_at - interval '1 hour' WHERE to_id = %s", ann)
    # The APIs look once a second.
    await until(lambda: is_mailed_about_messages(site, ann), 60.0)
    page = await open_page(await link_in_mail(site.settings, EMAIL, f"/messages/{bob.id}"))
    await log_in(page, recovery)
    await page.wait_for_url(f"**/messages/{bob.id}*")
    await expect(page.get_by_role("main").get_by_text("Is it still there?").first).to_be_visible()
