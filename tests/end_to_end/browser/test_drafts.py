"""What was typed and not sent is there again, for its author only."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import FilePayload, Page, expect

from shared.domain.users import Role
from tests.end_to_end.browser.conftest import Open, Site, jpeg
from tests.support.client import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="package")
KEPT_FILES = """async (wanted) => {
    if (!(await indexedDB.databases()).some(({ name }) => name === "daveslist.drafts")) return wanted === 0;
    const opening = indexedDB.open("daveslist.drafts");
    await new Promise((resolve) => (opening.onsuccess = resolve));
    const reading = opening.result.transaction("files").objectStore("files").getAll();
    await new Promise((resolve) => (reading.onsuccess = resolve));
    opening.result.close();
    return reading.result.flat().length === wanted;
}"""


async def until_files_are_kept(page: Page, count: int) -> None:
    """The browser stores chosen files while the page goes on, and shows nothing of that."""
    await page.wait_for_function(KEPT_FILES, arg=count)


async def test_each_conversation_keeps_its_own_draft_until_it_is_sent(site: Site, open_page: Open) -> None:
    ann, bob, cat = [await site.person(name) for name in ("Ann", "Bob", "Cat")]
    for other in (bob, cat):
        await site.rest.call("POST", "/api/messages", 201, who=other, body={"to": ann.id, "message": "Hello"})
    page = await open_page(f"/messages/{bob.id}", ann)
    field = page.locator(".composer textarea")
    await field.fill("For Bob")
    await page.locator(f'[data-conversation="{cat.id}"]').click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Cat")
    await expect(field).to_have_value("")
    await field.fill("For Cat")
    await page.go_back()
    await expect(field).to_have_value("For Bob")
    await page.reload()
    await expect(field).to_have_value("For Bob")
    await field.press("Enter")
    await expect(page.locator(".message.mine").last).to_contain_text("For Bob")
    await page.reload()
    await expect(page.locator(".message.mine").last).to_contain_text("For Bob")
    await expect(field).to_have_value("")
    await page.goto(f"/messages/{cat.id}")
    await expect(field).to_have_value("For Cat")


async def test_pictures_chosen_for_a_message_are_there_again_until_they_are_sent(site: Site, open_page: Open) -> None:
    ann, bob, cat = [await site.person(name) for name in ("Ann", "Bob", "Cat")]
    for other in (bob, cat):
        await site.rest.call("POST", "/api/messages", 201, who=other, body={"to": ann.id, "message": "Hello"})
    page = await open_page(f"/messages/{bob.id}", ann)
    chosen = page.locator(".chosen-picture[aria-busy=false]")
    damaged: FilePayload = {**jpeg("green", 96, 64), "name": "damaged.jpg", "buffer": b"\xff\xd8\xff" + bytes(100)}
    no_picture: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Hello"}
    files = [jpeg("red", 96, 64), damaged, no_picture, jpeg("blue", 96, 64)]
    await page.get_by_label("Add pictures", exact=True).set_input_files(files)
    await expect(chosen).to_have_count(2)
    # Each file that is not taken is named.
    await expect(page.locator(".composer [role=alert]")).to_contain_text("damaged.jpg")
    await expect(page.locator(".composer [role=alert]")).to_contain_text("notes.txt")
    await page.locator(f'[data-conversation="{cat.id}"]').click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Cat")
    await expect(page.locator(".chosen-picture")).to_have_count(0)
    await page.go_back()
    await expect(chosen).to_have_count(2)
    await page.reload()
    await expect(chosen).to_have_count(2)
    await page.get_by_role("button", name="Remove picture 2").click()
    await page.reload()
    await expect(chosen).to_have_count(1)
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("[data-message] guarded-picture img")).to_have_js_property("naturalWidth", 96)
    await page.reload()
    await expect(page.locator("[data-message] guarded-picture img")).to_have_count(1)
    await expect(page.locator(".chosen-picture")).to_have_count(0)


async def test_what_is_written_in_a_dialog_is_there_when_it_is_opened_again(site: Site, open_page: Open) -> None:
    seller, bob = await site.person("Ann", Role.MODERATOR), await site.person("Bob")
    category = await site.category("Campers", seller)
    listing, other = [await site.listing(seller, category, title) for title in ("A camper", "A bus")]
    page = await open_page(f"/listings/{listing}", bob)
    text, reason = page.get_by_label("More about it"), page.get_by_label("Reason")
    report = page.get_by_role("button", name="Report").first
    await report.click()
    await text.fill("The mileage is wrong, because")
    await reason.select_option("fraud")
    await page.keyboard.press("Escape")
    await expect(text).to_have_count(0)
    await report.click()
    await expect(text).to_have_value("The mileage is wrong, because")
    await page.goto(f"/listings/{other}")
    await report.click()
    await expect(text).to_have_value("")
    await page.goto(f"/listings/{listing}")
    await report.click()
    await expect(text).to_have_value("The mileage is wrong, because")
    await expect(reason).to_have_value("fraud")
    await page.locator("dialog[open] button.primary").click()
    await expect(page.get_by_text("The moderators will look at it.")).to_be_visible()
    await page.reload()
    await report.click()
    await expect(text).to_have_value("")


async def test_a_reply_outlives_the_session_and_is_not_shown_to_another_person(site: Site, open_page: Open) -> None:
    seller, bob, eve = await site.person("Ann", Role.MODERATOR), await site.person("Bob"), await site.person("Eve")
    category = await site.category("Vans", seller)
    first, second = [await site.listing(seller, category, f"Van {number}") for number in (1, 2)]
    page = await open_page(f"/listings/{first}", bob)
    field = page.locator("#reply textarea")
    await field.fill("Is it rusty?")
    await site.rest.call("POST", "/api/logout", 204, who=bob)
    await page.reload()
    for who, text in ((eve, ""), (bob, "Is it rusty?")):
        await page.evaluate("localStorage.removeItem('daveslist.session')")
        await page.goto(f"/login?next=/listings/{first}")
        await page.get_by_label("E-mail address").fill(who.email)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.locator("main form button.primary").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Van 1")
        await expect(field).to_have_value(text)
    await page.goto(f"/listings/{second}")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Van 2")
    await expect(field).to_have_value("")
    await page.goto(f"/listings/{first}")
    await page.locator("#reply button").click()
    await expect(page.locator("#reply .done")).to_have_text("Your reply is posted.")
    await page.reload()
    await expect(page.get_by_text("Is it rusty?")).to_be_visible()
    await expect(field).to_have_value("")


async def test_the_enter_that_ends_a_composition_sends_nothing_however_browsers_report_it(
    site: Site, open_page: Open
) -> None:
    ann, bob = await site.person("Ann"), await site.person("Bob")
    page = await open_page(f"/messages/{bob.id}", ann)
    field = page.locator(".composer textarea")
    await field.fill("にほん")
    # Safari says so by the code alone, and others by the flag alone.
    for how in ("keyCode: 229", "keyCode: 13, isComposing: true"):
        enter = f"new KeyboardEvent('keydown', {{key: 'Enter', {how}, bubbles: true, cancelable: true}})"
        assert await field.evaluate(f"field => field.dispatchEvent({enter})"), how
        await expect(field).to_have_value("にほん")


async def test_the_form_of_a_new_listing_is_there_again_with_its_pictures(site: Site, open_page: Open) -> None:
    category = await site.category("Coupes", await site.person("Mona", Role.MODERATOR))
    ann = await site.person("Ann")
    page = await open_page("/listings/new", ann)
    await page.get_by_label("Title").fill("2015 Honda Civic")
    await page.get_by_label("Category").select_option(str(category))
    await page.get_by_label("Price").fill("9500")
    await page.get_by_label("Description").fill("One owner.\nTwo keys.")
    await page.get_by_label("Add pictures").set_input_files([jpeg("red"), jpeg("green")])
    await expect(page.locator(".upload")).to_have_count(2)
    await page.get_by_role("button", name="Leave it out").first.click()
    await expect(page.locator(".upload")).to_have_count(1)
    await until_files_are_kept(page, 1)
    # As after a crash: another page of the same browser.
    page = await page.context.new_page()
    for again in ("open", "reload", "back"):
        if again == "back":
            await page.goto("/")
            await page.go_back()
        else:
            await (page.goto("/listings/new") if again == "open" else page.reload())
        await expect(page.get_by_label("Title")).to_have_value("2015 Honda Civic")
        await expect(page.get_by_label("Category")).to_have_value(str(category))
        await expect(page.get_by_label("Price")).to_have_value("9,500")
        await expect(page.get_by_label("Description")).to_have_value("One owner.\nTwo keys.")
        await expect(page.locator(".upload")).to_have_count(1)
    await page.get_by_role("button", name="Put it online").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("2015 Honda Civic")
    await expect(page.locator(".gallery-main img")).to_have_count(1)
    await page.goto("/listings/new")
    await expect(page.get_by_label("Title")).to_have_value("")
    await expect(page.locator(".upload")).to_have_count(0)


async def test_the_draft_of_a_change_does_not_undo_what_was_changed_meanwhile(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann", Role.MODERATOR)
    listing = await site.listing(ann, await site.category("Vans", ann), "A van", price=9000)
    page = await open_page(f"/listings/{listing}/edit", ann)
    await page.get_by_label("Title").fill("My van")
    await page.get_by_label("Price").fill("7000")
    await site.rest.call("PATCH", f"/api/listings/{listing}", 200, who=ann, body={"price": 8000})
    await page.reload()
    await expect(page.get_by_label("Title")).to_have_value("My van")
    await expect(page.get_by_label("Price")).to_have_value("8,000")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved.")).to_be_visible()
    await page.goto(f"/listings/{listing}/edit")
    await expect(page.get_by_label("Title")).to_have_value("My van")
    assert (await site.rest.call("GET", f"/api/listings/{listing}", 200))["price"] == 8000


async def test_what_was_written_is_there_after_the_tab_has_crashed(site: Site, open_page: Open) -> None:
    ann, bob = await site.person("Ann"), await site.person("Bob")
    await site.category("Coupes", await site.person("Mona", Role.MODERATOR))
    for path, label, text in (
        (f"/messages/{bob.id}", "Message to", "Not sent yet"),
        ("/listings/new", "Description", "One owner."),
    ):
        page = await open_page(path, ann)
        await page.get_by_label(label).fill(text)
        if path == "/listings/new":
            await page.get_by_label("Add pictures").set_input_files(jpeg("red"))
            await expect(page.locator(".upload img")).to_have_js_property("naturalWidth", 640)
            await until_files_are_kept(page, 1)
        devtools = await page.context.new_cdp_session(page)
        async with page.expect_event("crash"):
            # The process ends, so there is no answer.
            crashing = asyncio.ensure_future(devtools.send("Page.crash"))
        again = await page.context.new_page()
        await again.goto(path)
        await expect(again.get_by_label(label)).to_have_value(text)
        await expect(again.locator(".upload")).to_have_count(1 if path == "/listings/new" else 0)
        await page.context.close()
        await asyncio.gather(crashing, return_exceptions=True)


async def test_the_pictures_of_a_listing_that_was_just_made_outlive_a_crash(site: Site, open_page: Open) -> None:
    ann = await site.person("Ann")
    category = await site.category("Coupes", await site.person("Mona", Role.MODERATOR))
    page = await open_page("/listings/new", ann)
    await page.get_by_label("Title").fill("A coupe")
    await page.get_by_label("Category").select_option(str(category))
    await page.get_by_label("Description").fill("One owner.")
    await page.get_by_label("Add pictures").set_input_files(jpeg("red"))
    await until_files_are_kept(page, 1)
    # The tab ends before any byte of the pictures is read again, or sent.
    await page.evaluate("void (Blob.prototype.arrayBuffer = () => new Promise(() => {}))")
    await page.route("**/uploads**", lambda route: route.abort())
    await page.route("**/pictures**", lambda route: route.abort())
    await page.get_by_role("button", name="Put it online").click()
    await page.wait_for_url("**/listings/*/edit")
    address = page.url
    tab = await page.context.new_page()
    await page.close()
    await tab.goto(address)
    await expect(tab.locator(".picture-list img")).to_have_count(1)
    await expect(tab.locator(".upload")).to_have_count(0)


async def test_what_is_typed_into_a_form_of_one_line_is_there_again_until_it_is_sent(
    site: Site, open_page: Open
) -> None:
    mona = await site.person("Mona", Role.MODERATOR)
    category = f"Coupes {mona.id}"
    await site.rest.call("POST", "/api/categories", 201, who=mona, body={"name": category})
    page = await open_page("/moderation/categories", mona)
    change = page.get_by_role("button", name=f"Change {category}")
    for path, field, send, is_dialog in (
        ("/account", page.locator("#profile-name"), page.locator("#profile button"), False),
        ("/moderation/categories", page.locator("#category-name"), page.locator("#category button"), False),
        ("/moderation/categories", page.get_by_role("dialog").get_by_label("Name"), None, True),
    ):
        await page.goto(path)
        text = f"New {mona.id} {path} {is_dialog}"
        if is_dialog:
            await change.click()
        before = await field.input_value()
        await field.fill(text)
        for again in ("reload", "back"):
            if again == "reload":
                await page.reload()
            else:
                await page.keyboard.press("Escape")
                await page.locator(".brand").click()
                await expect(page.get_by_role("heading", level=1)).to_have_text("Used cars")
                await page.go_back()
            if is_dialog:
                await change.click()
            await expect(field).to_have_value(text)
        await (send or page.get_by_role("dialog").get_by_role("button", name="Save")).click()
        if not is_dialog:
            await expect(page.locator("main form .done").first).to_have_text(re.compile("Saved|The category is there"))
            await expect(field).to_have_value(text if before else "")
            # It can be used again.
            await field.fill(f"{text} again")
            await page.reload()
            await expect(field).to_have_value(f"{text} again")
        else:
            await expect(page.get_by_role("dialog")).to_have_count(0)
            await expect(page.get_by_text(text)).to_be_visible()


async def test_what_visitors_write_stays_in_their_tab(site: Site, open_page: Open) -> None:
    mona, bob = await site.person("Mona", Role.MODERATOR), await site.person("Bob")
    await site.rest.call("POST", f"/api/users/{bob.id}/warnings", 201, who=mona, body={"reason": "Spam"})
    [sanction] = (await site.rest.call("GET", "/api/me/sanctions", 200, who=bob))["data"]
    page = await open_page(f"/objection#{sanction['objection_token']}")
    text = page.get_by_label("What is wrong with it?")
    await text.fill("It was my brother.")
    # A link of the page itself gives no warning.
    await page.locator(".brand").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Used cars")
    await page.go_back()
    await expect(text).to_have_value("It was my brother.")
    page.once("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await page.reload()
    await expect(text).to_have_value("It was my brother.")
    assert "#" not in page.url
    await page.locator("#objection button").click()
    await expect(page.get_by_text("Thank you. A moderator decides about it")).to_be_visible()

    await page.goto("/register")
    await page.get_by_label("Name").fill("Cat")
    # As a password manager or a browser's extension does that shows it.
    await page.get_by_label("Password").evaluate("field => (field.type = 'text')")
    await page.get_by_label("Password").fill("Nobody stores this")
    await page.reload()
    await expect(page.get_by_label("Name")).to_have_value("Cat")
    await expect(page.get_by_label("Password")).to_have_value("")
    stored = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "Nobody stores this" not in stored
    other = await page.context.new_page()
    await other.goto("/register")
    await expect(other.get_by_label("Name")).to_have_value("")
