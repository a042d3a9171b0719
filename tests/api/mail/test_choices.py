"""People choose which mails they get, on their account's page or by one click in a mail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from api.services import SERVICES
from shared.domain.mails import SWITCHES, Choice, MailKind
from tests.api.conftest import Api, MakeApi, Person
from tests.api.rows import Rows
from tests.support.ports import free_port


def link_of(api: Api, user_id: int, kind: MailKind = MailKind.REPLY) -> str:
    """The path of the link in the mails of this kind."""
    links = api.client.app[SERVICES].mail_links
    return str(links.unsubscribe(user_id, kind)).removeprefix(links.site)


async def chosen(api: Api, who: Person) -> dict[str, str]:
    answer = await api.call("GET", "/api/me/mail", 200, who=who)
    return {one["kind"]: one["choice"] for one in answer["data"]}


async def mails_to(rows: Rows, who: Person) -> list[Any]:
    found = await rows.fetch(
        "SELECT kind, address, facts::text FROM outbox WHERE user_id = %s AND kind = 'reply' ORDER BY id", who.id
    )
    return [(kind, address, json.loads(facts)) for kind, address, facts in found]


async def test_a_person_chooses_for_each_kind_of_mail(api: Api) -> None:
    ann = await api.register("Ann")
    assert await chosen(api, ann) == {kind.value: switch.usual.value for kind, switch in SWITCHES.items()}
    for kind, switch in SWITCHES.items():
        for choice in (*switch.choices, Choice.NEVER, Choice.NEVER):
            answer = await api.call("PATCH", "/api/me/mail", 200, who=ann, json={"kind": kind, "choice": choice})
            assert {one["kind"]: one["choice"] for one in answer["data"]}[kind.value] == choice.value
    assert set((await chosen(api, ann)).values()) == {"never"}
    assert set((await chosen(api, await api.register("Bob"))).values()) != {"never"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "password_reset", "choice": "never"}, "kind"),
        ({"kind": "spam", "choice": "never"}, "kind"),
        ({"kind": "reply", "choice": "daily"}, "choice"),
        ({"kind": "reply", "choice": "sometimes"}, "choice"),
        ({"kind": "reply"}, "choice"),
    ],
)
async def test_a_choice_that_does_not_exist_is_refused(api: Api, body: dict[str, str], field: str) -> None:
    ann = await api.register("Ann")
    answer = await api.call("PATCH", "/api/me/mail", 422, who=ann, json=body)
    assert list(answer["errors"]) == [field]


async def test_one_click_in_a_mail_ends_its_kind_without_a_log_in(api: Api, rows: Rows) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    path = link_of(api, ann.id)
    # As RFC 8058 has it: a POST with this body, and nothing that says who sends it.
    response = await api.client.post(path, data={"List-Unsubscribe": "One-Click"})
    assert response.status == 200
    assert "No more of these mails" in await response.text()
    assert (await chosen(api, ann))["reply"] == "never"
    assert (await chosen(api, bob))["reply"] == "at_once"
    listing = await rows.listing(ann.id)
    await api.call("POST", f"/api/listings/{listing}/replies", 201, who=bob, json={"text": "Hi"})
    assert await mails_to(rows, ann) == []


async def test_whoever_opens_the_link_is_asked_first_and_needs_no_script(api: Api) -> None:
    ann = await api.register("Ann")
    for _ in range(2):
        response = await api.client.get(link_of(api, ann.id))
        assert response.status == 200
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "script" not in response.headers["Content-Security-Policy"]
        tree = LexborHTMLParser(await response.text())
        assert tree.css_first("form[method=post] button") is not None
        assert not tree.css("script")
    assert (await chosen(api, ann))["reply"] == "at_once"


async def test_a_forged_link_ends_nothing(api: Api) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    path = link_of(api, ann.id)
    for forged in (
        path.replace(f"t={ann.id}.", f"t={bob.id}."),
        path.replace("reply", "password_reset"),
        path[:-1],
        "/mail/unsubscribe",
        "/mail/unsubscribe?t=",
        "/mail/unsubscribe?t=" + "x" * 5000,
        "/mail/unsubscribe?t=%00",
    ):
        for method in ("GET", "POST"):
            response = await api.client.request(method, forged)
            assert response.status == 404, forged
    assert set((await chosen(api, ann)).values()) == set((await chosen(api, bob)).values())
    assert (await chosen(api, bob))["reply"] == "at_once"


async def test_a_seller_gets_a_mail_about_a_reply_unless_they_do_not_want_it(api: Api, rows: Rows) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    listing = await rows.listing(ann.id, title="A blue car")
    path = f"/api/listings/{listing}/replies"
    await api.call("POST", path, 201, who=bob, json={"text": "Is it still there?"})
    await api.call("POST", path, 201, who=ann, json={"text": "Yes."})
    [[reply_id]] = await rows.fetch("SELECT id FROM replies WHERE author_id = %s", bob.id)
    facts = {"name": "Ann", "author": "Bob", "title": "A blue car", "listing_id": listing, "text": "Is it still there?"}
    facts["reply_id"] = reply_id
    assert await mails_to(rows, ann) == [("reply", ann.email, facts)]
    assert await mails_to(rows, bob) == []
    await api.call("PUT", f"/api/users/{bob.id}/block", 200, who=ann)
    await api.call("POST", path, 403, who=bob, json={"text": "Hello?"})
    assert len(await mails_to(rows, ann)) == 1
    # With a key, all of it is one transaction.
    eve = await api.register("Eve")
    headers = {"Idempotency-Key": '"a key"'}
    for _ in range(2):
        await api.call("POST", path, 201, who=eve, json={"text": "Hi"}, headers=headers)
    assert len(await mails_to(rows, ann)) == 2


@pytest.mark.parametrize("way", ["choice", "link"])
async def test_mails_that_wait_are_not_sent_once_their_kind_is_switched_off(api: Api, rows: Rows, way: str) -> None:
    ann, bob = await api.register("Ann"), await api.register("Bob")
    listing = await rows.listing(ann.id, title="A blue car")
    await api.call("POST", f"/api/listings/{listing}/replies", 201, who=bob, json={"text": "Is it still there?"})
    assert len(await mails_to(rows, ann)) == 1
    if way == "link":
        response = await api.client.post(link_of(api, ann.id))
        assert response.status == 200
    else:
        await api.call("PATCH", "/api/me/mail", 200, who=ann, json={"kind": "reply", "choice": "never"})
    assert await mails_to(rows, ann) == []


async def test_a_waiting_mail_loses_its_text_with_the_choice(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    await rows.execute(
        """INSERT INTO outbox (user_id, kind, address, facts)
           VALUES (%s, 'message', 'a@example.com', '{"text": "Hi"}')""",
        ann.id,
    )
    for choice, text in (("with_text", "Hi"), ("at_once", None)):
        await api.call("PATCH", "/api/me/mail", 200, who=ann, json={"kind": "message", "choice": choice})
        [[facts]] = await rows.fetch("SELECT facts FROM outbox WHERE user_id = %s AND kind = 'message'", ann.id)
        assert facts == {"text": text}


async def test_without_a_mail_server_production_writes_no_mails_and_says_so(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(environment="production")
    ann, bob = await api.register("Ann"), await api.register("Bob")
    listing = await rows.listing(ann.id)
    await api.call("POST", f"/api/listings/{listing}/replies", 201, who=bob, json={"text": "Hi"})
    assert await rows.fetch("SELECT * FROM outbox") == []
    assert (await api.call("GET", "/api/me/mail", 200, who=ann))["on"] is False


async def test_an_api_is_ready_while_the_mail_server_is_away(make_api: MakeApi) -> None:
    api = await make_api(
        smtp_url=f"smtp://127.0.0.1:{free_port()}", site_url="https://cars.example.com", mail_seconds=0.01
    )
    ann = await api.register("Ann")
    services = api.client.app[SERVICES]
    await services.outbox.add(MailKind.PASSWORD_CHANGED, ann.id, {"name": "Ann"})
    while not services.mailing._failed:
        assert (await api.client.get("/health/ready")).status == 200
    assert (await api.client.get("/health/ready")).status == 200


async def test_who_leaves_gets_no_more_mail(api: Api, rows: Rows) -> None:
    ann = await api.register("Ann")
    services = api.client.app[SERVICES]
    await services.outbox.add(MailKind.PASSWORD_CHANGED, ann.id, {"name": "Ann"})
    await api.call("DELETE", "/api/me", 204, who=ann, json={"current_password": "correct horse battery"})
    await services.outbox.add(MailKind.PASSWORD_CHANGED, ann.id, {"name": "Ann"})
    assert await rows.fetch("SELECT * FROM outbox") == []
