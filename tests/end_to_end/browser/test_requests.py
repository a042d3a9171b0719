"""A stranger's message about no car of the reader waits among the requests, without a sound."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.end_to_end.browser.conftest import Open, Site
from tests.end_to_end.browser.test_chat import is_live, messages, write

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_request_waits_apart_and_is_declined_and_accepted_with_one_press(site: Site, open_page: Open) -> None:
    ann, eve = await site.person("Ann"), await site.stranger("Eve")
    anns, eves = await open_page("/messages", ann), await open_page(f"/messages/{ann.id}", eve)
    await is_live(anns)
    await write(eves, "Watches, very cheap")
    await expect(messages(eves)).to_have_count(1)
    await anns.get_by_role("link", name="Requests (1)").click()
    await expect(anns.get_by_role("heading", name="Requests")).to_be_visible()
    await expect(anns.locator(".top .badge")).to_have_count(0)
    await expect(anns).to_have_title("Messages · Daveslist")
    await anns.locator(f"[data-conversation='{eve.id}']").click()
    request = anns.locator("#request")
    await expect(request).to_contain_text("Eve is a stranger")
    await request.get_by_role("button", name="Decline").click()
    await expect(request).to_contain_text("You have declined Eve")
    await write(eves, "Are you there?")
    await expect(messages(eves)).to_have_count(2)
    await expect(eves.locator(".read")).to_have_count(0)
    await expect(messages(anns)).to_have_count(1)

    await anns.get_by_role("link", name="Declined").click()
    await anns.locator(f"[data-conversation='{eve.id}']").click()
    await request.get_by_role("button", name="Accept").click()
    await expect(request).to_have_count(0)
    await expect(messages(anns)).to_have_text(["Watches, very cheap", "Are you there?"])
    await write(eves, "Hello")
    await expect(messages(anns)).to_have_count(3)
    await expect(eves.locator(".read")).to_have_text("· Read")


async def test_people_choose_whether_strangers_may_ask(site: Site, open_page: Open) -> None:
    ann, eve = await site.person("Ann"), await site.stranger("Eve")
    account = await open_page("/account", ann)
    choice = account.get_by_label("Strangers may ask to write to me about anything")
    await expect(choice).to_be_checked()
    await choice.uncheck()
    await expect(account.get_by_text("Saved.")).to_be_visible()
    eves = await open_page(f"/messages/{ann.id}", eve)
    await write(eves, "Watches")
    await expect(eves.get_by_role("alert")).to_contain_text("takes messages only about their cars")
    await account.reload()
    await expect(choice).not_to_be_checked()
