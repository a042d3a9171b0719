"""Private chat between two browsers on two gateway nodes, also with failures of nodes, WebSockets and proxies."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import FilePayload, Locator, Page, WebSocketRoute, expect

from tests.api.test_pictures import a_jpeg
from tests.end_to_end.browser.conftest import BehindDoor, Open, Site
from tests.support.client import Person
from tests.support.database import query
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="package")


def messages(page: Page) -> Locator:
    """The stored messages on the page, without those that are still being sent."""
    return page.locator("[data-message] .bubble")


async def write(page: Page, text: str) -> None:
    await page.get_by_role("textbox", name="Message to").fill(text)
    await page.keyboard.press("Enter")


async def is_live(page: Page) -> None:
    await expect(page.locator(".connection[data-state=live]")).to_be_visible()


async def two_people(site: Site) -> tuple[Person, Person]:
    return await site.person("Ann"), await site.person("Bob")


async def test_two_people_on_two_nodes_chat_live(site: Site, open_page: Open) -> None:
    ann, bob = await two_people(site)
    anns = await open_page(f"/messages/{bob.id}", ann, node=0)
    bobs = await open_page("/messages", bob, node=1)
    await is_live(anns)
    await is_live(bobs)

    await write(anns, "Is the Corolla still there?")
    badge = bobs.locator(".top .badge")
    await expect(badge).to_have_attribute("data-unread", "1")
    await expect(bobs).to_have_title("(1) Messages · Daveslist")

    await bobs.get_by_role("link", name="Ann").click()
    await expect(messages(bobs)).to_have_text(["Is the Corolla still there?"])
    await expect(badge).to_have_count(0)
    await expect(anns.locator(".read")).to_have_text("· Read")

    await bobs.get_by_role("textbox", name="Message to Ann").press_sequentially("Yes")
    await expect(anns.locator(".typing")).to_have_text("Bob is typing…")
    await bobs.get_by_role("button", name="Send").click()
    await expect(messages(anns)).to_have_text(["Is the Corolla still there?", "Yes"])
    await expect(anns.locator("#announcer")).to_have_text("Bob: Yes")
    await expect(anns.locator(".typing")).to_have_text("")
    await expect(anns.locator("[data-pending]")).to_have_count(0)
    assert await anns.locator(".connection").get_attribute("data-longpoll") == "false"


async def test_a_deleted_message_is_gone_on_both_sides_live_and_after_a_reload(site: Site, open_page: Open) -> None:
    ann, bob = await two_people(site)
    anns, second = [await open_page(f"/messages/{bob.id}", ann, node=node) for node in (0, 1)]
    bobs = await open_page(f"/messages/{ann.id}", bob, node=1)
    for page in (anns, second, bobs):
        await is_live(page)
    await write(anns, "My number is 0171")
    await expect(messages(bobs)).to_have_text(["My number is 0171"])
    await write(bobs, "Thank you")
    await expect(messages(anns)).to_have_count(2)
    await expect(bobs.locator("[data-message]").first.locator("[aria-label^='Delete']")).to_have_count(0)

    await anns.get_by_role("button", name="Delete “My number is 0171”").click()
    await anns.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(messages(anns)).to_have_text(["My number is 0171", "Thank you"])
    await anns.get_by_role("button", name="Delete “My number is 0171”").click()
    await anns.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for page in (anns, second, bobs):
        await expect(messages(page)).to_have_text(["Message deleted", "Thank you"])
    await bobs.reload()
    await expect(messages(bobs)).to_have_text(["Message deleted", "Thank you"])
    await expect(bobs.get_by_text("0171")).to_have_count(0)


async def test_pictures_are_sent_seen_by_both_enlarged_and_deleted(site: Site, open_page: Open) -> None:
    ann, bob = await two_people(site)
    anns = await open_page(f"/messages/{bob.id}", ann, node=0)
    bobs = await open_page(f"/messages/{ann.id}", bob, node=1)
    for page in (anns, bobs):
        await is_live(page)
    for name in ("one", "two"):
        picked: FilePayload = {"name": f"{name}.jpg", "mimeType": "image/jpeg", "buffer": a_jpeg()}
        await anns.get_by_label("Add pictures", exact=True).set_input_files(picked)
    await expect(anns.locator(".chosen-picture[aria-busy=false]")).to_have_count(2)
    await anns.get_by_role("button", name="Remove picture 2").click()
    await expect(anns.locator(".chosen-picture")).to_have_count(1)
    await anns.get_by_role("button", name="Send").click()
    await expect(anns.locator(".chosen-picture")).to_have_count(0)

    for page, name in ((anns, "you"), (bobs, "Ann")):
        image = page.locator("[data-message] guarded-picture img")
        await expect(image).to_have_count(1)
        await expect(image).to_have_attribute("alt", re.compile(f"Picture 1 of 1 from .?{name}"))
        await expect(image).to_have_js_property("naturalWidth", 96)
    await expect(anns.locator(".conversation-last")).to_contain_text("You: Picture")
    await bobs.get_by_role("button", name="Enlarge").click()
    await expect(bobs.locator("dialog.large img")).to_have_js_property("naturalWidth", 96)
    await bobs.keyboard.press("Escape")
    await expect(bobs.locator("dialog.large")).to_have_count(0)
    await bobs.reload()
    await expect(bobs.locator("[data-message] guarded-picture img")).to_have_js_property("naturalWidth", 96)

    await anns.get_by_role("button", name="Delete “Picture”").click()
    await anns.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for page in (anns, bobs):
        await expect(messages(page)).to_have_text(["Message deleted"])
        await expect(page.locator("[data-message] img")).to_have_count(0)


async def test_the_chat_uses_long_polling_if_websockets_are_refused(
    site: Site, open_page: Open, behind_door: BehindDoor
) -> None:
    behind_door.door.lets_websockets_through = False
    ann, bob = await two_people(site)
    anns = await open_page(f"/messages/{bob.id}", ann, api=behind_door.api)
    bobs = await open_page(f"/messages/{ann.id}", bob, node=1)
    await is_live(anns)
    assert behind_door.door.refused
    assert await anns.locator(".connection").get_attribute("data-longpoll") == "true"

    await write(anns, "By long polling")
    await expect(messages(bobs)).to_have_text(["By long polling"])
    await write(bobs, "By WebSocket")
    await expect(messages(anns)).to_have_text(["By long polling", "By WebSocket"])


async def test_nothing_is_lost_or_doubled_when_a_node_is_killed(
    site: Site, open_page: Open, behind_door: BehindDoor
) -> None:
    doomed = await site.processes.gateway()
    behind_door.door.nodes.insert(0, doomed)
    ann, bob = await two_people(site)
    anns = await open_page(f"/messages/{bob.id}", ann, api=behind_door.api)
    bobs = await open_page(f"/messages/{ann.id}", bob, node=1)
    await is_live(anns)
    await write(anns, "one")
    await expect(messages(bobs)).to_have_text(["one"])

    # Ann's messages may be on their way or wait on her page. Bob's messages come while she is not connected.
    behind_door.door.nodes.clear()
    await write(anns, "two")
    doomed.kill()
    await write(anns, "three")
    await expect(anns.locator("[data-banner]")).to_be_visible()
    await expect(anns.locator("[data-pending]")).not_to_have_count(0)
    await write(bobs, "four")
    await write(bobs, "five")
    await expect(bobs.locator("[data-pending]")).to_have_count(0)

    behind_door.door.nodes.append(site.gateways[0])
    await is_live(anns)
    for page in (anns, bobs):
        await expect(messages(page)).to_have_count(5)
        assert sorted(await messages(page).all_text_contents()) == ["five", "four", "one", "three", "two"]
    assert await messages(anns).all_text_contents() == await messages(bobs).all_text_contents()
    await expect(anns.locator("[data-pending]")).to_have_count(0)

    assert await anns.locator(".connection").get_attribute("data-longpoll") == "false"
    await write(bobs, "six")
    await expect(messages(anns).last).to_have_text("six")


async def test_more_missed_messages_than_one_answer_holds_are_all_shown(
    site: Site, open_page: Open, behind_door: BehindDoor
) -> None:
    ann, bob = await two_people(site)
    page = await open_page(f"/messages/{bob.id}", ann, api=behind_door.api)
    await is_live(page)
    await write(page, "Tell me everything")
    await expect(messages(page)).to_have_count(1)
    behind_door.door.nodes.clear()
    await behind_door.door.cut()
    await expect(page.locator("[data-banner]")).to_be_visible()
    for number in range(210):
        body = {"to": ann.id, "message": f"number {number}"}
        await site.rest.call("POST", "/api/messages", 201, who=bob, body=body)
    behind_door.door.nodes[:] = site.gateways
    await expect(messages(page)).to_have_count(211)
    texts = await messages(page).all_text_contents()
    assert texts == ["Tell me everything", *(f"number {number}" for number in range(210))]


async def test_a_long_conversation_is_read_back_page_by_page(site: Site, open_page: Open) -> None:
    ann, bob = await two_people(site)
    for number in range(70):
        body = {"to": bob.id, "message": f"number {number}"}
        await site.rest.call("POST", "/api/messages", 201, who=ann, body=body)
    # An hour lies between messages, since a join also returns messages that are a few seconds older than the last one.
    query(
        site.settings.database_url,
        """UPDATE messages SET inserted_at = now() - interval '1 hour' * ((SELECT max(id) FROM messages) - id)
           WHERE to_id = %s""",
        bob.id,
    )
    page = await open_page(f"/messages/{ann.id}", bob)
    await expect(messages(page)).to_have_count(30)
    await expect(messages(page).last).to_be_in_viewport()
    for count in (60, 70):
        await page.get_by_role("button", name="Earlier messages").click()
        await expect(messages(page)).to_have_count(count)
    assert await messages(page).all_text_contents() == [f"number {number}" for number in range(70)]
    await expect(page.get_by_role("button", name="Earlier messages")).to_have_count(0)


async def test_a_refused_message_says_why_and_can_be_discarded(site: Site, open_page: Open) -> None:
    ann, bob = await two_people(site)
    await site.rest.call("PUT", f"/api/users/{ann.id}/block", 200, who=bob)
    page = await open_page(f"/messages/{bob.id}", ann)
    await is_live(page)
    await write(page, "Hello?")
    await expect(page.get_by_text("This person does not want messages from you.")).to_be_visible()
    # Another try would be refused as well.
    await expect(page.get_by_text("You cannot write to Bob.")).to_be_visible()
    await expect(page.get_by_role("textbox", name="Message to")).to_have_count(0)
    await expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    await page.get_by_role("button", name="Discard").click()
    await expect(page.locator("[data-pending]")).to_have_count(0)


async def test_what_cannot_be_sent_to_somebody_is_not_offered_to_be_tried_again(site: Site, open_page: Open) -> None:
    ann, bob = await two_people(site)
    eve, fay = await site.stranger("Eve"), await site.stranger("Fay")
    await site.rest.call("PATCH", "/api/me", 200, who=fay, body={"takes_requests": False})
    page = await open_page(f"/messages/{bob.id}", ann)
    await is_live(page)
    # Ann blocks Bob on another device.
    await site.rest.call("PUT", f"/api/users/{bob.id}/block", 200, who=ann)
    await write(page, "Hello?")
    await expect(page.locator("#blocked")).to_contain_text("You have blocked Bob.")
    await expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    await page.locator("#blocked").get_by_role("button", name="Unblock").click()
    await page.get_by_role("button", name="Try again").click()
    await expect(messages(page).last).to_have_text("Hello?")

    page = await open_page(f"/messages/{fay.id}", eve)
    await is_live(page)
    await write(page, "Do you need insurance?")
    await expect(page.locator("[data-pending]")).to_contain_text("takes messages only about their cars")
    await expect(page.locator(".closed")).to_contain_text("from the page of one")
    await expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    await expect(page.get_by_role("button", name="Discard")).to_be_visible()


async def test_a_block_asks_first_is_shown_and_can_be_undone(site: Site, open_page: Open) -> None:
    ann, bob = await two_people(site)
    await site.rest.call(
        "POST", "/api/messages", 201, who=bob, body={"to": ann.id, "message": "Pay at https://x.example."}
    )
    page = await open_page(f"/messages/{bob.id}", ann)
    await is_live(page)
    await expect(page.locator(".day")).to_have_text(["Today"])

    await page.get_by_label("More about Bob").click()
    await page.get_by_role("button", name="Block").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("textbox", name="Message to")).to_be_visible()
    await page.get_by_label("More about Bob").click()
    await page.get_by_role("button", name="Block").click()
    await page.get_by_role("dialog").get_by_role("button", name="Block").click()
    await expect(page.locator("#blocked")).to_contain_text("You have blocked Bob.")
    await expect(page.get_by_role("textbox", name="Message to")).to_have_count(0)
    await page.reload()
    await expect(page.locator("#blocked")).to_contain_text("You have blocked Bob.")
    await expect(page.locator(".conversation-last")).to_have_text("Blocked")
    await page.locator("#blocked").get_by_role("button", name="Unblock").click()
    await write(page, "Sorry")
    await expect(messages(page).last).to_have_text("Sorry")


async def test_a_stranger_gives_a_warning_instead_of_a_link_until_the_reader_answers(
    site: Site, open_page: Open
) -> None:
    ann, bob = await two_people(site)
    for text in ("Is it there?", "Pay at https://x.example. Or call 555 010 1234"):
        await site.rest.call("POST", "/api/messages", 201, who=bob, body={"to": ann.id, "message": text})
    page = await open_page(f"/messages/{bob.id}", ann)
    await is_live(page)
    link, warning = messages(page).get_by_role("link"), page.locator("[data-contacts]")
    await expect(messages(page)).to_have_count(2)
    await expect(warning).to_contain_text("This stranger gives you a link and a phone number.")
    await expect(warning).to_have_count(1)
    await expect(link).to_have_count(0)
    await write(page, "Who are you?")
    # An address in a message is a link that gives nothing away; the full stop is no part of it.
    await expect(link).to_have_text("https://x.example")
    assert await link.get_attribute("rel") == "nofollow ugc noopener noreferrer"
    await expect(warning).to_have_count(0)


# Chromium without a screen has no notifications, so this stands for them, and for a tab in the background.
NOTIFICATIONS = """
    window.shown = [];
    window.Notification = class {
        static permission = "default";
        static async requestPermission() { return (Notification.permission = "granted"); }
        constructor(title, { body, tag }) { shown.push([title, body]); }
    };
    window.isBehind = false;
    Object.defineProperty(document, "visibilityState", { get: () => (window.isBehind ? "hidden" : "visible") });
"""


async def test_notifications_are_offered_after_the_first_message_and_shown_in_the_background(
    site: Site, open_page: Open
) -> None:
    ann, bob = await two_people(site)
    page = await open_page("/account", ann)
    await page.add_init_script(NOTIFICATIONS)
    await page.goto(f"/messages/{bob.id}")
    await is_live(page)
    await expect(page.locator("#offer")).to_have_count(0)
    await write(page, "Hello")
    await page.locator("#offer").get_by_role("button", name="Yes").click()
    await expect(page.locator("#offer")).to_have_count(0)
    for text, is_behind in (("You see this", False), ("And this", True)):
        await page.evaluate("is => { window.isBehind = is; }", is_behind)
        await site.rest.call("POST", "/api/messages", 201, who=bob, body={"to": ann.id, "message": text})
        await expect(messages(page).last).to_have_text(text)
    assert await page.evaluate("shown") == [["Bob", "And this"]]


async def test_a_message_that_is_too_long_can_be_edited_and_the_next_ones_are_sent(site: Site, open_page: Open) -> None:
    ann, bob = await two_people(site)
    anns = await open_page(f"/messages/{bob.id}", ann)
    bobs = await open_page(f"/messages/{ann.id}", bob, node=1)
    await is_live(anns)
    await write(anns, "🚗" * 4_001)
    # The end of the text is half a surrogate pair, as in a text field that cuts its text off.
    await anns.evaluate(
        """() => {
            const field = document.querySelector(".composer textarea");
            field.value = "nice car 🚗".slice(0, -1);
            field.form.requestSubmit();
        }"""
    )
    await write(anns, "behind")
    await expect(messages(bobs)).to_have_text(["nice car \ufffd", "behind"])
    await expect(anns.get_by_text("Not sent: Longer than 4000 characters.")).to_be_visible()
    await anns.get_by_role("button", name="Edit").click()
    await expect(anns.locator("[data-pending]")).to_have_count(0)
    field = anns.get_by_role("textbox", name="Message to")
    await expect(field).to_have_value("🚗" * 4_001)
    await expect(field).to_be_focused()
    await write(anns, "🚗" * 4_000)
    await expect(messages(bobs).last).to_have_text("🚗" * 4_000)
    assert await messages(anns).all_text_contents() == await messages(bobs).all_text_contents()


async def test_a_message_that_breaks_the_connection_each_time_fails_and_the_next_ones_are_sent(
    site: Site, open_page: Open
) -> None:
    ann, bob = await two_people(site)
    tries = 0

    def between(browser: WebSocketRoute) -> None:
        nonlocal tries
        gateway = browser.connect_to_server()

        async def sent(frame: str | bytes) -> None:
            nonlocal tries
            if "poison" in str(frame):
                tries += 1
                await browser.close(code=1011)
                await gateway.close()
            else:
                gateway.send(frame)

        browser.on_message(sent)

    page = await open_page("/messages", ann)
    await page.route_web_socket("**/socket/websocket**", between)
    await page.goto(f"/messages/{bob.id}")
    await is_live(page)
    for text in ("before", "poison", "behind", "more"):
        await write(page, text)
    await expect(page.get_by_text("Not sent: This message could not be sent.")).to_be_visible()
    await expect(messages(page)).to_have_text(["before", "behind", "more"])
    assert tries == 3
    await page.get_by_role("button", name="Discard").click()
    await expect(page.locator("[data-pending]")).to_have_count(0)


async def test_the_chat_uses_long_polling_if_websockets_are_cut_again_and_again(
    site: Site, open_page: Open, behind_door: BehindDoor
) -> None:
    behind_door.door.cuts_websockets_after = 0.3
    ann, bob = await two_people(site)
    anns = await open_page(f"/messages/{bob.id}", ann, api=behind_door.api)
    await expect(anns.locator(".connection[data-longpoll=true][data-state=live]")).to_be_visible()
    assert behind_door.door.websockets <= 4
    await write(anns, "By long polling")
    await expect(messages(anns)).to_have_text(["By long polling"])


FOREIGN = {
    "a proxy's 502": b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n%s\r\n<html>502</html>",
    "foreign JSON": b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n%s\r\n"
    b'{"status":503,"message":"no healthy upstream"}',
}


@pytest.mark.parametrize("answer", FOREIGN.values(), ids=FOREIGN)
async def test_long_polling_goes_on_after_an_outage_with_foreign_answers(
    site: Site, open_page: Open, behind_door: BehindDoor, answer: bytes
) -> None:
    door = behind_door.door
    door.lets_websockets_through = False
    ann, bob = await two_people(site)
    page = await open_page(f"/messages/{bob.id}", ann, api=behind_door.api)
    await expect(page.locator(".connection[data-longpoll=true][data-state=live]")).to_be_visible()
    door.answer = answer % b"Connection: close\r\nAccess-Control-Allow-Origin: *\r\n"
    await door.cut()
    await expect(page.locator("[data-banner]")).to_be_visible()
    await write(page, "written meanwhile")
    await site.rest.call("POST", "/api/messages", 201, who=bob, body={"to": ann.id, "message": "missed"})
    # The page's further tries get this answer as well.
    before = door.answered
    await until(lambda: door.answered >= before + 3, 30)
    door.answer = None
    await expect(messages(page)).to_have_text(["missed", "written meanwhile"])


async def test_two_tabs_of_one_person_show_the_same(site: Site, open_page: Open) -> None:
    ann, bob = await two_people(site)
    first = await open_page(f"/messages/{bob.id}", ann)
    second = await first.context.new_page()
    await second.goto(f"/messages/{bob.id}")
    await asyncio.gather(is_live(first), is_live(second))
    await write(first, "from the first")
    await expect(messages(second)).to_have_text(["from the first"])
    await write(second, "from the second")
    await expect(messages(first)).to_have_text(["from the first", "from the second"])
    await first.get_by_role("button", name="Log out").click()
    await expect(second.get_by_role("heading", name="Log in")).to_be_visible()
