"""Moderators and admins act on the page, and the pages of other people show it."""

from __future__ import annotations

import re

import pytest
from aiohttp import FormData
from playwright.async_api import expect

from shared.domain.users import Role
from shared.version import VERSION
from tests.api.pictures.samples import encoded
from tests.api.pictures.test_likeness import photo
from tests.end_to_end.browser.conftest import Open, Site
from tests.end_to_end.browser.engines.chromium import ChromiumTab
from tests.end_to_end.browser.engines.person import Someone
from tests.support.client import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="package")

AT_ONCE_MS = 8_000


async def test_a_hidden_listing_soon_vanishes_from_every_open_page(site: Site, open_page: Open) -> None:
    seller, mod, user = await site.person("Ann"), await site.person("Mona", Role.MODERATOR), await site.person("Bob")
    listing = await site.listing(seller, await site.category("Any", mod), "Suspicious car")
    path = f"/listings/{listing}"
    mods, users, sellers = [await open_page(path, one) for one in (mod, user, seller)]
    returning, waiting = await open_page(path), await open_page()
    await waiting.clock.install()
    await waiting.goto(path)
    for page in (mods, users, sellers, waiting, returning):
        await expect(page.get_by_role("heading", level=1)).to_have_text("Suspicious car")
    await expect(users.locator("#viewers")).to_be_visible()

    await mods.get_by_role("button", name="Hide").click()
    await mods.get_by_label("Reason").fill("Looks stolen")
    await mods.get_by_label("For how long").select_option("7")
    await mods.get_by_role("dialog").get_by_role("button", name="Hide").click()

    await expect(users.locator("#removed")).to_be_visible(timeout=AT_ONCE_MS)
    await expect(users.get_by_text("Suspicious car")).to_have_count(0)
    await returning.evaluate("dispatchEvent(new Event('focus'))")
    await expect(returning.locator("#removed")).to_be_visible(timeout=AT_ONCE_MS)
    for page in (mods, sellers):
        await expect(page.locator("#hidden-notice")).to_contain_text("Looks stolen")
    await waiting.clock.fast_forward(15_000)
    await expect(waiting.locator("#removed")).to_be_visible()
    await expect(waiting.get_by_text("Suspicious car")).to_have_count(0)

    await mods.get_by_role("link", name="Moderation").click()
    await mods.get_by_role("link", name="Hidden").click()
    row = mods.get_by_role("listitem").filter(has_text="Suspicious car")
    await row.get_by_role("button", name="Show again").click()
    await expect(row).to_have_count(0)
    await waiting.reload()
    await expect(waiting.get_by_role("heading", level=1)).to_have_text("Suspicious car")


async def test_a_moderator_handles_a_report(site: Site, open_page: Open) -> None:
    seller, mod, user = await site.person("Ann"), await site.person("Mona", Role.MODERATOR), await site.person("Bob")
    listing = await site.listing(seller, await site.category("Any", mod), "Reported car")
    page = await open_page(f"/listings/{listing}", user)
    await page.get_by_role("button", name="Report").click()
    # Nothing is chosen before somebody chooses.
    await expect(page.get_by_label("Reason")).to_have_value("")
    await page.get_by_label("Reason").select_option("fraud")
    await page.get_by_label("More about it").fill("He asked for money first")
    await page.get_by_role("dialog").get_by_role("button", name="Report").click()
    await expect(page.get_by_text("Thank you.")).to_be_visible()
    await page.get_by_role("button", name="Report").click()
    await page.get_by_label("Reason").select_option("spam")
    await page.get_by_role("dialog").get_by_role("button", name="Report").click()
    await expect(page.get_by_role("alert")).to_contain_text("reported this already")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)

    second = await site.person("Cid")
    await site.rest.call("POST", f"/api/listings/{listing}/reports", 201, who=second, body={"reason": "sold"})

    mods = await open_page("/moderation", mod)
    # The reports about one car are together, with its picture and its state.
    group = mods.locator(f"[data-group='listing {listing}']")
    await expect(group.locator("[data-report]")).to_have_count(2)
    await expect(group).to_contain_text("He asked for money first")
    badge = mods.locator("[data-waiting]")
    await expect(badge).to_be_visible()
    before = int(await badge.get_attribute("data-waiting") or "")
    await group.get_by_role("button", name="Hide").click()
    await mods.get_by_role("dialog").get_by_label("Reason").fill("Asks for money first")
    await mods.get_by_role("dialog").get_by_role("button", name="Hide").click()
    await expect(group.get_by_text("Hidden", exact=True)).to_be_visible()
    await group.get_by_role("button", name="Show again").click()
    await expect(group.get_by_text("Hidden", exact=True)).to_have_count(0)
    await group.get_by_role("button", name="Resolve all 2").click()
    await expect(group).to_have_count(0)
    await mods.get_by_role("button", name="Undo").click()
    await expect(group.locator("[data-report]")).to_have_count(2)
    await expect(badge).to_have_attribute("data-waiting", str(before))
    await group.get_by_role("button", name="Resolve all 2").click()
    await expect(group).to_have_count(0)


async def test_a_message_is_reported_with_its_words(site: Site, open_page: Open) -> None:
    mod, ann, eve = await site.person("Mona", Role.MODERATOR), await site.person("Ann"), await site.person("Eve")
    for text in ("Hello", "Pay me first"):
        await site.rest.call("POST", "/api/messages", 201, who=eve, body={"to": ann.id, "message": text})
    page = await open_page(f"/messages/{eve.id}", ann)
    await page.get_by_label("More about Eve").click()
    await page.locator("details").get_by_role("button", name="Report").click()
    await page.get_by_label("What it is about").select_option(label="“Pay me first”")
    await page.get_by_label("Reason").select_option("fraud")
    await page.get_by_role("dialog").get_by_role("button", name="Report").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.locator(".composer .done")).to_have_text("Thank you. The moderators will look at it.")
    # A person can be reported without a message, too.
    await page.goto(f"/?seller_id={eve.id}")
    await page.get_by_role("button", name="Report this person").click()
    await page.get_by_label("Reason").select_option("other")
    await page.get_by_role("dialog").get_by_role("button", name="Report").click()
    await expect(page.locator(".results .done")).to_have_text(["", "Thank you. The moderators will look at it."])
    mods = await open_page("/moderation", mod)
    group = mods.locator(f"[data-group='user {eve.id}']")
    await expect(group.locator("[data-report]")).to_have_count(2)
    await expect(group.locator("blockquote")).to_have_text("Pay me first")
    await expect(group.get_by_role("link", name="Eve", exact=True)).to_be_visible()


async def test_two_moderators_share_a_queue_that_moves_by_itself(site: Site, open_page: Open) -> None:
    mona, otto = await site.person("Mona", Role.MODERATOR), await site.person("Otto", Role.MODERATOR)
    ann, eve = await site.person("Ann"), await site.person("Eve")
    monas, ottos = await open_page("/moderation", mona), await open_page("/moderation", otto)
    for page in (monas, ottos):
        await expect(page.get_by_role("heading", name="Reports")).to_be_visible()
        await expect(page.locator(".connection[data-state=live]")).to_be_visible()
    # A stranger's message is reported where it is, and both moderators see it without a reload.
    for text in ("Hello", "Do you want a loan?"):
        await site.rest.call("POST", "/api/messages", 201, who=eve, body={"to": ann.id, "message": text})
    anns = await open_page(f"/messages/{eve.id}", ann)
    await anns.get_by_role("button", name="Report “Do you want a loan?”").click()
    await anns.get_by_label("Reason").select_option("unrelated")
    await anns.get_by_role("dialog").get_by_role("button", name="Report").click()
    await expect(anns.get_by_role("dialog")).to_have_count(0)
    await site.rest.call("POST", f"/api/users/{eve.id}/reports", 201, who=ann, body={"reason": "other"})
    group_of = [page.locator(f"[data-group='user {eve.id}']") for page in (monas, ottos)]
    for group in group_of:
        await expect(group.locator("[data-report]")).to_have_count(2, timeout=AT_ONCE_MS)
        await expect(group).to_contain_text("Not about the car")

    # Whoever stays at a group holds it; the other one sees who that is, and can take it over.
    await group_of[0].focus()
    await expect(group_of[1]).to_contain_text("Mona is looking at this.", timeout=AT_ONCE_MS)
    await expect(group_of[1].get_by_role("button", name="Resolve all 2")).to_have_count(0)
    await group_of[1].get_by_role("button", name="Take over").click()
    await expect(group_of[0]).to_contain_text("Otto is looking at this.", timeout=AT_ONCE_MS)

    # Keys work in the list, and only there.
    await ottos.get_by_role("button", name="Keyboard shortcuts").click()
    await expect(ottos.get_by_role("dialog")).to_contain_text("Resolve all of this group")
    await ottos.get_by_role("dialog").get_by_role("button", name="Close").click()
    await ottos.keyboard.press("r")
    await expect(group_of[1].locator("[data-report]")).to_have_count(2)
    await group_of[1].focus()
    await ottos.keyboard.press("m")
    await expect(group_of[1].locator(".reported-messages li")).to_have_count(2)
    await expect(group_of[1].locator(".reported-messages [aria-current]")).to_contain_text("Do you want a loan?")
    await ottos.keyboard.press("r")
    for group in group_of:
        await expect(group).to_have_count(0, timeout=AT_ONCE_MS)
    await monas.get_by_text("Numbers of the last weeks").click()
    await expect(monas.get_by_role("table")).to_contain_text("Not about the car")


async def test_what_the_program_finds_is_shown_with_both_listings_and_can_be_opened_again(
    site: Site, open_page: Open
) -> None:
    mod, ann, bob = await site.person("Mona", Role.MODERATOR), await site.person("Ann"), await site.person("Bob")
    mods = await open_page("/moderation", mod)
    await expect(mods.locator(".connection[data-state=live]")).to_be_visible()
    category, listings = await site.category("Any", mod), []
    for seller in (ann, bob):
        listings.append(await site.listing(seller, category, f"Car of {seller.name}", vin="1M8GDM9AXKP042788"))
        form = FormData()
        form.add_field("picture", encoded(photo(1), "JPEG"), filename="car.jpg", content_type="image/jpeg")
        path = f"/api/listings/{listings[-1]}/pictures"
        await site.rest.call("POST", path, 201, who=seller, data=form)
    group = mods.locator(f"[data-group='listing {listings[1]}']")
    entries = [group.locator(f"[data-entry^='{kind} ']") for kind in ("same_picture", "same_vin")]
    for entry, flag in zip(entries, ("Same picture", "Same VIN"), strict=True):
        await expect(entry.locator(".flag")).to_have_text(flag)
        await expect(entry).to_contain_text("Found by Daveslist")
        await expect(entry.locator("figure")).to_have_count(2)
        for listing, seller in zip(listings, (ann, bob), strict=True):
            one = entry.locator("figure").filter(has_text=f"Car of {seller.name}")
            await expect(one.locator(f"a[href='/listings/{listing}'] img")).to_have_js_property("naturalWidth", 480)
            await expect(one.locator(f"a[href='/moderation/people/{seller.id}']")).to_have_text(seller.name)
    # The number in the navigation is that of the groups, whether people or the program made them.
    queue = await site.rest.call("GET", "/api/moderation/queue", 200, who=mod, limit=100)
    objections = await site.rest.call("GET", "/api/objections", 200, who=mod)
    assert queue["groups"] == len(queue["data"])
    waiting = str(queue["groups"] + objections["open"])
    badge = mods.locator("[data-waiting]")
    await expect(badge).to_have_attribute("data-waiting", waiting)
    await group.get_by_role("button", name="Resolve all 2").click()
    await expect(group).to_have_count(0)
    await expect(mods.locator(f"[data-waiting='{waiting}']")).to_have_count(0)
    await mods.get_by_role("button", name="Undo").click()
    await expect(group.locator("[data-entry]")).to_have_count(2)


async def test_the_keyboard_is_enough_for_the_whole_of_moderation(site: Site, open_page: Open) -> None:
    mona, otto = await site.person("Mona", Role.MODERATOR), await site.person("Otto", Role.MODERATOR)
    ann, eve = await site.person("Ann"), await site.person("Eve")
    for text in ("Hello", "Pay me first"):
        sent = await site.rest.call("POST", "/api/messages", 201, who=eve, body={"to": ann.id, "message": text})
    await site.rest.call("POST", f"/api/messages/{sent['id']}/reports", 201, who=ann, body={"reason": "fraud"})
    page = await open_page("/account", mona, reduced_motion="reduce")
    monas = Someone(ChromiumTab(page), site.apis[0].url, has_mouse=False)
    await page.goto("/moderation")
    group = page.locator(f"[data-group='user {eve.id}']")
    await expect(group).to_be_visible()
    # Whoever comes to a group by Tab can use its keys.
    await group.get_by_role("button", name="Show the messages around it").focus()
    await page.keyboard.press("Enter")
    await expect(group.locator(".reported-messages li")).to_have_count(2)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_contain_text("Resolve all of this group")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("r")
    await expect(group).to_have_count(0)
    # The group is gone, and the focus is still in the list. What was done is in sight, however long the list is.
    await page.keyboard.press("u")
    await expect(group).to_be_visible()
    await group.focus()
    await page.set_viewport_size({"width": 1280, "height": 360})
    await expect(page.locator(".acts")).to_contain_text("is open again")
    await expect(page.locator(".acts .done")).to_be_in_viewport(ratio=1)
    await page.keyboard.press("j")
    await expect(page.locator(".report-group:focus")).to_have_count(1)
    await group.get_by_role("link", name="Warn or suspend").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#new-account")).to_contain_text("may write first to")
    await monas.press("Suspend")
    await monas.fill("Reason", "Wants money first")
    await monas.choose("For how long", "7")
    await monas.press("Suspend")
    await expect(page.get_by_role("button", name="End the suspension")).to_be_visible()
    refused = await site.rest.call(
        "POST", "/api/login", 403, body={"email": eve.email, "password": PASSWORD, "device_id": None}
    )
    body = {"token": refused["objection_token"], "text": "Her brother did it."}
    await site.rest.call("POST", "/api/objections", 201, body=body)
    await monas.sees("[data-sanction]", "Her brother did it.")
    await monas.fill("For other moderators", "Has a brother.")
    await monas.press("Add the note")
    await monas.sees("[data-note]", "Has a brother.")

    page = await open_page("/moderation", otto, reduced_motion="reduce")
    ottos = Someone(ChromiumTab(page), site.apis[0].url, has_mouse=False)
    tab = page.get_by_role("link", name=re.compile("^Objections"))
    await tab.focus()
    await page.keyboard.press("Enter")
    row = page.locator("[data-sanction]").filter(has_text="Her brother did it.")
    await row.get_by_role("button", name="Decide").focus()
    await page.keyboard.press("Enter")
    await ottos.choose("Decision", "lifted")
    await ottos.fill("Answer", "You are right.")
    await ottos.press("Decide")
    await expect(row).to_have_count(0)
    await monas.sees("[data-sanction]", "It is lifted.")


async def test_a_deleted_category_goes_to_the_trash_and_its_listings_come_back(site: Site, open_page: Open) -> None:
    mod = await site.person("Mona", Role.MODERATOR)
    other = await site.category("Other", mod)
    page = await open_page("/moderation/categories", mod)
    form = page.get_by_role("form", name="New category")
    await form.get_by_label("Name").fill("Doomed")
    await form.get_by_role("button", name="Add").click()
    row = page.get_by_role("listitem").filter(has_text="Doomed")
    await expect(row).to_be_visible()
    address = await row.get_by_role("link").get_attribute("href")
    assert address is not None
    listing = await site.listing(mod, int(address.rpartition("=")[2]), "Car of a doomed category")
    await row.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(row).to_have_count(0)

    await page.get_by_role("link", name="Trash").click()
    row = page.get_by_role("listitem").filter(has_text="Car of a doomed category")
    await row.get_by_role("button", name="Restore").click()
    await page.get_by_label("Into which category").select_option(str(other))
    await page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    await expect(row).to_have_count(0)
    visitor = await open_page(f"/listings/{listing}")
    await expect(visitor.get_by_role("heading", level=1)).to_have_text("Car of a doomed category")


async def test_an_admin_gives_a_role_and_bans(site: Site, open_page: Open) -> None:
    admin, bob = await site.person("Root", Role.ADMIN), await site.person("Bobby")
    bobs = await open_page("/", bob)
    await expect(bobs.locator(".connection[data-state=live]")).to_be_visible()
    page = await open_page("/admin", admin)
    await page.get_by_label("Name or e-mail address").fill(bob.email)
    await page.get_by_role("button", name="Find").click()
    row = page.locator("[data-person]")
    await expect(row).to_have_count(1)
    await row.get_by_label("Role of Bobby").select_option("moderator")
    # A choice is only a question.
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(row.get_by_label("Role of Bobby")).to_have_value("user")
    await row.get_by_label("Role of Bobby").select_option("moderator")
    await page.get_by_role("dialog").get_by_role("button", name="Change the role").click()
    await expect(page.get_by_text("Bobby is moderator now.")).to_be_visible()
    await bobs.reload()
    await expect(bobs.get_by_role("link", name="Moderation")).to_be_visible()

    await row.get_by_role("button", name="Ban Bobby").click()
    await page.get_by_label("Reason").fill("Rude to everybody")
    await page.get_by_role("dialog").get_by_role("button", name="Ban").click()
    await expect(row.get_by_text("Banned for good: Rude to everybody")).to_be_visible()
    await expect(bobs.get_by_role("link", name="Log in")).to_be_visible()
    await expect(bobs.get_by_text("banned")).to_be_visible()

    await row.get_by_role("button", name="Unban Bobby").click()
    await expect(page.get_by_text("Bobby is no longer banned.")).to_be_visible()
    await page.get_by_role("link", name="Audit").click()
    await expect(page.get_by_role("row").filter(has_text="Rude to everybody").first).to_be_visible()
    # The log says whose role was changed, from what to what.
    await page.get_by_label("What").select_option("role_change")
    act = page.get_by_role("row").filter(has_text="user to moderator").first
    await expect(act).to_contain_text("Bobby")
    await expect(page.get_by_role("row").filter(has_text="Rude to everybody")).to_have_count(0)


async def test_a_user_cannot_open_the_pages_of_moderators_and_admins(site: Site, open_page: Open) -> None:
    page = await open_page("/moderation", await site.person("Bob"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("This page is not for your role")
    page = await open_page("/admin")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


async def test_a_warning_is_in_front_of_everything_until_it_is_read(site: Site, open_page: Open) -> None:
    mod, ann = await site.person("Mona", Role.MODERATOR), await site.person("Ann")
    page = await open_page("/account", ann)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
    attack = "<img src=x onerror=alert(1)> \u202eevil"
    mods = await open_page(f"/moderation/people/{ann.id}", mod)
    await mods.get_by_role("button", name="Warn").click()
    await mods.get_by_label("Reason").fill(attack)
    await mods.get_by_role("dialog").get_by_role("button", name="Warn").click()
    await expect(mods.locator("[data-sanction]")).to_contain_text("not read yet")
    # It comes by itself, and Escape does not close it.
    dialog = page.get_by_role("dialog", name="A message from Daveslist")
    await expect(dialog).to_contain_text("<img src=x", timeout=AT_ONCE_MS)
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_visible()
    again = await open_page("/", ann)
    await expect(again.get_by_role("dialog", name="A message from Daveslist")).to_be_visible()
    await dialog.get_by_role("button", name="I have read it").click()
    await expect(dialog).to_have_count(0)
    await page.get_by_role("link", name="What moderators did").click()
    await page.get_by_role("button", name="Object").click()
    await page.get_by_role("dialog").get_by_label("What is wrong").fill("My brother wrote that.")
    await page.get_by_role("dialog").get_by_role("button", name="Object").click()
    await expect(page.locator("[data-sanction]")).to_contain_text("Nobody has decided")

    # Another moderator decides.
    other = await open_page("/moderation/objections", await site.person("Max", Role.MODERATOR))
    row = other.get_by_role("listitem").filter(has_text="My brother wrote that.")
    await row.get_by_role("button", name="Decide").click()
    await other.get_by_label("Decision").select_option("lifted")
    await other.get_by_label("Answer").fill("You are right.")
    await other.get_by_role("dialog").get_by_role("button", name="Decide").click()
    await expect(row).to_have_count(0)
    await page.reload()
    await expect(page.locator("[data-sanction]")).to_contain_text("It is lifted.")


async def test_who_is_suspended_is_told_why_and_objects_without_being_let_in(site: Site, open_page: Open) -> None:
    mod, ann = await site.person("Mona", Role.MODERATOR), await site.person("Ann")
    page, mods = await open_page("/account", ann), await open_page(f"/moderation/people/{ann.id}", mod)
    await mods.get_by_label("For other moderators").fill("Has a brother.")
    await mods.get_by_role("button", name="Add the note").click()
    await expect(mods.locator("[data-note]")).to_contain_text("Has a brother.")
    await mods.get_by_role("button", name="Suspend").click()
    await mods.get_by_label("Reason").fill("The same offer to everybody")
    await mods.get_by_label("For how long").select_option("3")
    await mods.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    await expect(mods.get_by_role("button", name="End the suspension")).to_be_visible()
    await expect(page.get_by_text("The same offer to everybody").first).to_be_visible(timeout=AT_ONCE_MS)

    await page.goto("/login")
    await page.get_by_label("E-mail address").fill(ann.email)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Log in", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("The same offer to everybody")
    await page.get_by_role("link", name="Object to this").click()
    await page.get_by_label("What is wrong").fill("It was my brother.")
    await page.get_by_role("button", name="Object").click()
    await expect(page.get_by_text("A moderator decides about it")).to_be_visible()
    await mods.reload()
    await expect(mods.locator("[data-sanction]")).to_contain_text("It was my brother.")
    await mods.get_by_role("button", name="End the suspension").click()
    await expect(mods.get_by_role("button", name="Suspend")).to_be_visible()


async def test_an_admin_sees_what_runs_and_disconnects_a_device(site: Site, open_page: Open) -> None:
    admin, user = await site.person("Root", Role.ADMIN), await site.person("Bob")
    elsewhere = await open_page("/account", user)
    await expect(elsewhere.get_by_role("heading", level=1)).to_be_visible()
    page = await open_page("/admin", admin)
    await page.get_by_role("link", name="System").click()
    rows = page.get_by_role("region", name="Processes").locator("tbody tr")
    for kind in ("API", "Gateway"):
        row = rows.filter(has_text=kind).filter(has_text="runs").first
        await expect(row).to_contain_text(VERSION, timeout=AT_ONCE_MS)
    topics = page.locator("ul").filter(has_text=f"private_chat:{user.id}")
    await expect(topics).to_contain_text(f"private_chat:{user.id} 1 member", timeout=AT_ONCE_MS)

    await page.get_by_label("Number of the person").fill(str(user.id))
    await page.get_by_role("button", name="Show").click()
    device = page.locator("[data-session]").filter(has_text="Connected by WebSocket")
    await expect(device).to_have_count(1, timeout=AT_ONCE_MS)
    await device.get_by_role("button", name="Disconnect").dblclick()
    await expect(page.get_by_text("That device is disconnected and logged out.")).to_be_visible()
    await expect(device).to_have_count(0)
    await expect(elsewhere.get_by_role("heading", name="Log in")).to_be_visible(timeout=AT_ONCE_MS)

    await page.get_by_label("Number of the person").fill("999999")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
