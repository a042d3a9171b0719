"""Who has forgotten the password gets back in by the mail, in a browser, as a person would."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.end_to_end.browser.conftest import Open, Site
from tests.support.written_mails import link_in_mail

pytestmark = pytest.mark.asyncio(loop_scope="package")

NEW = "another good battery"


async def test_a_forgotten_password_is_replaced_by_the_link_in_the_mail(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann")
    page = await open_page("/login")
    await page.get_by_role("link", name="Forgot your password?").click()
    await page.get_by_label("E-mail address").fill(ann.email)
    await page.get_by_role("button", name="Send the mail").click()
    await expect(page.get_by_text("a mail is on its way")).to_be_visible()
    # As somebody needs it who tries the site on this machine.
    where = page.get_by_text(f"This server writes its mails into {site.settings.data_directory / 'mail'}.")
    await expect(where).to_be_visible()
    link = await link_in_mail(site.settings, ann.email, "/password/reset")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(f"{request.url} {request.headers.get('referer', '')}"))
    await page.goto(link)
    token = link.partition("#")[2]
    await expect(page.get_by_role("heading", name="New password")).to_be_visible()
    assert token not in page.url
    await page.get_by_role("textbox", name="New password").fill(NEW)
    await page.get_by_role("button", name="Set the password").click()
    await expect(page.get_by_text("Your new password is set. Please log in with it.")).to_be_visible()
    await page.get_by_label("E-mail address").fill(ann.email)
    await page.get_by_role("textbox", name="Password").fill(NEW)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("link", name="Ann")).to_be_visible()
    # A navigation's address is told with its fragment, which is never sent.
    assert [request for request in requests if token in request.replace(f"{link} ", "")] == []
    await page.goto(link)
    await page.get_by_role("textbox", name="New password").fill("a third good battery")
    await page.get_by_role("button", name="Set the password").click()
    await expect(page.get_by_text("The link was used already, or has expired")).to_be_visible()


async def test_an_address_is_confirmed_by_the_link_in_the_mail(site: Site, open_page: Open) -> None:
    email = "ann.who.confirms@example.com"
    page = await open_page("/register")
    await page.get_by_label("Name").fill("Ann")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_role("textbox", name="Password").fill(NEW)
    await page.get_by_role("button", name="Register").click()
    await page.get_by_role("link", name="Ann").click()
    await expect(page.get_by_text(f"We have sent a mail to {email}")).to_contain_text("This server writes its mails")
    link = await link_in_mail(site.settings, email, "/address/confirm")
    await page.goto(link)
    await expect(page.get_by_role("heading", name="Confirm your address")).to_be_visible()
    assert "#" not in page.url
    await page.get_by_role("button", name="Confirm the address").click()
    await expect(page.get_by_text("Your e-mail address is confirmed.")).to_be_visible()
    await expect(page.get_by_text("We have sent a mail to")).to_have_count(0)


async def test_the_accounts_page_has_a_switch_for_each_kind_of_mail(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann")
    page = await open_page("/account", ann)
    switch = page.get_by_label("Mail me about replies to your listings")
    await expect(switch).to_have_value("at_once")
    await switch.select_option("never")
    await expect(page.get_by_text("Saved.")).to_be_visible()
    await page.reload()
    await expect(switch).to_have_value("never")
