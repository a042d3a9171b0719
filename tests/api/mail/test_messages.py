"""A mail tells of messages that wait for somebody who is away: one for a conversation, and only of unread ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.events import topics
from shared.postgres import Database
from shared.pubsub import broker_for
from shared.repositories.nodes import NodeRepository
from shared.settings import Settings
from tests.api.alerts.test_saved_searches import offer
from tests.api.conftest import Api, MakeApi, Person
from tests.api.push.conftest import QUICK
from tests.api.push.test_away import holds, write
from tests.api.rows import Rows
from tests.support.mail_server import MailServer
from tests.support.waiting import PATIENCE_SECONDS, until

SITE = "https://cars.example.com"


@dataclass
class Away:
    """An API that writes mails about messages after a short while, and two people."""

    api: Api
    rows: Rows
    smtp: MailServer
    ann: Person
    bob: Person
    taken: int = 0
    read: list[Any] = field(default_factory=list)

    async def mail(self) -> tuple[str, str]:
        """The subject and the text of the next mail."""
        await until(lambda: len(self.smtp.received) > self.taken, 30.0)
        message = self.smtp.received[self.taken].message
        self.taken += 1
        assert str(message["To"]) == self.bob.email
        text = message.get_body(("plain",))
        assert text is not None
        return str(message["Subject"]), text.get_content()

    async def nothing_waits(self) -> None:
        """Wait until everything is decided about; then nothing more was mailed."""
        await holds(
            self.rows,
            """SELECT WHERE (SELECT max(id) FROM messages) = (SELECT id FROM looked_at WHERE kind = 'messages')
               AND NOT EXISTS (SELECT FROM waiting_news WHERE due_at IS NOT NULL)
               AND NOT EXISTS (SELECT FROM outbox)""",
        )
        assert len(self.smtp.received) == self.taken

    async def choose(self, choice: str) -> None:
        body = {"kind": "message", "choice": choice}
        await self.api.call("PATCH", "/api/me/mail", 200, who=self.bob, json=body)

    async def reads(self, up_to: int) -> None:
        path = f"/api/conversations/{self.ann.id}/read"
        await self.api.call("PUT", path, 204, who=self.bob, json={"up_to": up_to})


async def busy(step: str, _: Any) -> str | None:
    """A mail server that takes mails later."""
    return "451 later" if step == "RCPT" else None


async def away_with(make_api: MakeApi, rows: Rows, smtp: MailServer, **changes: Any) -> Away:
    quick = {
        **QUICK,
        "confirm_addresses": "off",
        "mail_seconds": 0.05,
        "mail_retry_seconds": 0.2,
        "message_mail_seconds": 0.2,
        "site_url": SITE,
    }
    api = await make_api(**{**quick, "smtp_url": f"smtp://127.0.0.1:{smtp.port}", **changes})
    ann, bob = await api.register("Ann"), await api.register("Bob")
    # The mails that ask them to confirm their addresses.
    await holds(rows, "SELECT WHERE NOT EXISTS (SELECT FROM outbox)")
    smtp.received.clear()
    return Away(api, rows, smtp, ann, bob)


@pytest.fixture
async def away(make_api: MakeApi, rows: Rows, smtp: MailServer) -> Away:
    return await away_with(make_api, rows, smtp)


async def test_a_mail_says_who_wrote_about_which_car_and_leads_to_the_conversation(away: Away) -> None:
    listing_id = await offer(away.api, away.rows, away.bob, title="Fiat Panda")
    await write(away.api, away.ann, away.bob, "Is it still there?", listing_id=listing_id)
    subject, text = await away.mail()
    assert subject == "Ann wrote to you about Fiat Panda"
    assert f"{SITE}/messages/{away.ann.id}" in text
    assert "still there" not in text
    await away.nothing_waits()


async def test_an_address_that_has_to_be_confirmed_first_gets_no_mail_about_messages(away: Away) -> None:
    """It may be somebody else's, whom nobody may write to by this way."""
    await away.rows.execute("UPDATE users SET must_confirm = true, confirmed_at = NULL WHERE id = %s", away.bob.id)
    await write(away.api, away.ann, away.bob, "Look here")
    await away.nothing_waits()
    # Confirmed in the meantime, before the mail would have been written, and after an earlier message was not told.
    await away.rows.execute("UPDATE users SET must_confirm = false WHERE id = %s", away.bob.id)
    await write(away.api, away.ann, away.bob, "And here")
    subject, _ = await away.mail()
    assert subject == "Ann wrote to you"


async def test_the_text_is_in_the_mail_only_if_its_reader_wants_it(away: Away) -> None:
    await away.choose("with_text")
    await write(away.api, away.ann, away.bob, "<b>Is it\nstill there?</b>")
    subject, text = await away.mail()
    assert subject == "Ann wrote to you"
    assert "<b>Is it" in text
    html = away.smtp.received[0].message.get_body(("html",))
    assert html is not None
    assert "&lt;b&gt;Is it" in html.get_content()


async def test_one_mail_tells_of_a_conversation_until_it_is_looked_at(away: Away) -> None:
    await write(away.api, away.ann, away.bob, "One")
    await away.mail()
    last = await write(away.api, away.ann, away.bob, "Two")
    await away.nothing_waits()
    await away.reads(last)
    await write(away.api, away.ann, away.bob, "Three")
    await away.mail()
    await away.nothing_waits()


async def test_nobody_who_switched_them_off_gets_a_mail(away: Away) -> None:
    await away.choose("never")
    await write(away.api, away.ann, away.bob, "Hello")
    await away.nothing_waits()
    assert await away.rows.fetch("SELECT 1 FROM waiting_news") == []


@pytest.mark.parametrize("ends", ["read", "blocked", "banned", "switched off", "left"])
async def test_nothing_is_mailed_of_what_may_not_be_told_any_more(
    make_api: MakeApi, rows: Rows, smtp: MailServer, ends: str
) -> None:
    away = await away_with(make_api, rows, smtp, message_mail_seconds=3600.0)
    message_id = await write(away.api, away.ann, away.bob, "Hello")
    await holds(rows, "SELECT 1 FROM waiting_news WHERE way = 'mail'")
    match ends:
        case "read":
            await away.reads(message_id)
        case "blocked":
            await away.api.call("PUT", f"/api/users/{away.ann.id}/block", 200, who=away.bob)
        case "banned":
            await rows.execute("UPDATE users SET banned_at = now() WHERE id = %s", away.ann.id)
        case "switched off":
            await away.choose("never")
        case "left":
            await rows.execute("UPDATE users SET deleted_at = now(), email = NULL WHERE id = %s", away.bob.id)
    await an_hour_passes(rows)
    await away.nothing_waits()


async def an_hour_passes(rows: Rows) -> None:
    await rows.execute("UPDATE messages SET inserted_at = inserted_at - interval '1 hour'")
    await rows.execute("UPDATE waiting_news SET due_at = now(), away_since = now() - interval '1 hour'")


async def test_a_message_that_came_after_the_first_was_read_waits_its_own_time(
    make_api: MakeApi, rows: Rows, smtp: MailServer
) -> None:
    away = await away_with(make_api, rows, smtp, message_mail_seconds=3600.0)
    first = await write(away.api, away.ann, away.bob, "One")
    await holds(rows, "SELECT 1 FROM waiting_news")
    await rows.execute("UPDATE messages SET inserted_at = inserted_at - interval '1 hour'")
    await away.reads(first)
    await write(away.api, away.ann, away.bob, "Two")
    await holds(rows, "SELECT 1 FROM waiting_news WHERE newest_id > 1")
    await rows.execute("UPDATE waiting_news SET due_at = now(), away_since = now() - interval '1 hour'")
    # It was looked at, and has to wait for most of an hour.
    await holds(rows, "SELECT 1 FROM waiting_news WHERE due_at > now() + interval '50 minutes'")
    await an_hour_passes(rows)
    await away.mail()


@pytest.fixture
async def joined(settings: Settings) -> AsyncIterator[Any]:
    """Keeps somebody online, as a gateway does; `await joined(person)` returns what ends it."""
    database = Database(settings)
    broker = broker_for(settings, "abcdef0123456789")
    await broker.start(None)

    async def join(person: Person) -> Any:
        await broker.subscribe(topics.node("abcdef0123456789"))
        await broker.subscribe(topics.private_chat(person.id))
        await NodeRepository(database).report("abcdef0123456789", lease_seconds=60.0, is_heard=True, unheard=0)
        return lambda: broker.unsubscribe(topics.private_chat(person.id))

    yield join
    await broker.stop()
    await database.close()


async def test_nobody_gets_a_mail_while_a_socket_of_theirs_is_joined(
    make_api: MakeApi, rows: Rows, smtp: MailServer, joined: Any
) -> None:
    away = await away_with(make_api, rows, smtp, node_lease_seconds=60.0)
    leave = await joined(away.bob)
    await write(away.api, away.ann, away.bob, "Hello")
    await holds(rows, "SELECT 1 FROM waiting_news WHERE due_at IS NOT NULL")
    # He was looked for several times.
    due: set[Any] = set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(due) < 5:
            due.update(await rows.fetch("SELECT due_at FROM waiting_news"))
            await asyncio.sleep(0.02)
    assert smtp.received == []
    assert await rows.fetch("SELECT 1 FROM outbox") == []
    leave()
    await away.mail()


@pytest.mark.parametrize("meanwhile", ["read", "read and written again", "blocked", "online"])
async def test_a_mail_that_waits_for_its_server_is_not_sent_if_there_is_nothing_to_tell_then(
    make_api: MakeApi, rows: Rows, smtp: MailServer, joined: Any, meanwhile: str
) -> None:
    away = await away_with(make_api, rows, smtp, node_lease_seconds=60.0, mail_retry_seconds=600.0)

    smtp.on_step = busy
    message_id = await write(away.api, away.ann, away.bob, "Hello")
    await holds(rows, "SELECT 1 FROM outbox WHERE failure IS NOT NULL")
    smtp.on_step = None
    match meanwhile:
        case "read":
            await away.reads(message_id)
        case "read and written again":
            # Another mail tells of that.
            await away.reads(message_id)
            await write(away.api, away.ann, away.bob, "Still there?")
            await away.mail()
        case "blocked":
            await away.api.call("PUT", f"/api/users/{away.ann.id}/block", 200, who=away.bob)
        case "online":
            leave = await joined(away.bob)
    await rows.execute("UPDATE outbox SET due_at = now()")
    if meanwhile != "online":
        await away.nothing_waits()
        return
    await holds(rows, "SELECT 1 FROM outbox WHERE failure = 'not now'")
    assert smtp.received == []
    leave()
    await rows.execute("UPDATE outbox SET due_at = now()")
    await away.mail()


async def test_a_sender_who_deletes_what_was_told_causes_no_other_mail(away: Away) -> None:
    first = await write(away.api, away.ann, away.bob, "Hello")
    await away.mail()
    await away.api.call("DELETE", f"/api/messages/{first}", 204, who=away.ann)
    second = await write(away.api, away.ann, away.bob, "Hello?")
    await away.nothing_waits()
    await away.reads(second)
    await write(away.api, away.ann, away.bob, "Still there?")
    await away.mail()


@pytest.mark.parametrize("meanwhile", ["deleted", "blocked"])
async def test_a_mail_about_a_reply_that_waits_is_not_sent_once_there_is_nothing_to_tell(
    make_api: MakeApi, rows: Rows, smtp: MailServer, meanwhile: str
) -> None:
    away = await away_with(make_api, rows, smtp, mail_retry_seconds=600.0)

    smtp.on_step = busy
    listing = await rows.listing(away.bob.id)
    path = f"/api/listings/{listing}/replies"
    reply = await away.api.call("POST", path, 201, who=away.ann, json={"text": "What a heap."})
    await holds(rows, "SELECT 1 FROM outbox WHERE failure IS NOT NULL")
    smtp.on_step = None
    if meanwhile == "deleted":
        await away.api.call("DELETE", f"/api/replies/{reply['id']}", 204, who=away.ann)
    else:
        await away.api.call("PUT", f"/api/users/{away.ann.id}/block", 200, who=away.bob)
    await rows.execute("UPDATE outbox SET due_at = now()")
    await holds(rows, "SELECT WHERE NOT EXISTS (SELECT FROM outbox)")
    assert smtp.received == []
