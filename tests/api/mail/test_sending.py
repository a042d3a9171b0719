"""Mails reach a real SMTP server, whatever it does, and are sent once unless nobody can know."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from api.mail.mailing import Mailing, wait_after
from tests.api.mail.conftest import MakeMailing, Post
from tests.api.rows import Rows
from tests.support.certificate import make_certificate
from tests.support.mail_server import Conversation, MailServer, Step, mail_server
from tests.support.ports import free_port


def url_of(server: MailServer, scheme: str = "smtp", login: str = "") -> str:
    return f"{scheme}://{login}127.0.0.1:{server.port}"


def answering(step: str, answer: str) -> Step:
    async def on_step(at: str, conversation: Conversation) -> str | None:
        return answer if at == step else None

    return on_step


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(f"{record.getMessage()} {getattr(record, 'fields', '')}" for record in caplog.records)


def metric(mailing: Mailing, name: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(mailing)
    return registry.get_sample_value(name)


async def test_a_mail_is_sent_once_and_leaves_nothing(mailing: Mailing, post: Post, smtp: MailServer) -> None:
    await post.write()
    assert await mailing.step() == 1
    assert await mailing.step() == 0
    [received] = smtp.received
    assert (received.sender, received.recipients) == ("no-reply@cars.example.com", ["ann@example.com"])
    assert await post.left() == []
    assert metric(mailing, "api_sent_mails_total") == 1


async def test_a_mail_that_is_refused_for_now_waits_and_is_sent_later(
    mailing: Mailing, post: Post, smtp: MailServer
) -> None:
    for step in ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "message"):
        for answer in ("421 closing", "450 busy", "451 later", "452 full"):
            await post.write()
            smtp.on_step = answering(step, answer)
            await mailing.step()
            [(attempts, failure, is_given_up, _)] = await post.left()
            assert (attempts, is_given_up) == (1, False), (step, answer)
            assert failure
            assert await mailing.step() == 0, "it does not wait"
            smtp.on_step = None
            await post.make_due()
            await mailing.step()
            assert len(smtp.received) == 1, (step, answer)
            assert await post.left() == []
            smtp.received.clear()


@pytest.mark.parametrize(("step", "answer", "is_counted"), [("RCPT", "450 full", False), ("MAIL", "451 later", True)])
async def test_a_mailbox_that_takes_nothing_for_now_says_nothing_of_the_mail_server(
    mailing: Mailing, post: Post, rows: Rows, smtp: MailServer, step: str, answer: str, is_counted: bool
) -> None:
    """The age of the oldest mail wakes an operator, and anybody can register an address whose mailbox is full."""
    await post.write()
    await rows.execute("UPDATE outbox SET written_at = now() - interval '1 hour'")
    smtp.on_step = answering(step, answer)
    await mailing.step()
    counts = await post.outbox.counts()
    assert counts.waiting == 1
    assert (counts.oldest_seconds > 1800) is is_counted


async def test_a_mail_that_is_refused_for_good_is_given_up_at_once_and_keeps_nothing_personal(
    mailing: Mailing, post: Post, smtp: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    for step in ("MAIL", "RCPT", "DATA", "message"):
        for answer in ("550 no such user ann@example.com", "552 too large", "553 bad name", "554 no"):
            await post.write()
            smtp.on_step = answering(step, answer)
            with caplog.at_level(logging.DEBUG, logger="api"):
                await mailing.step()
            [(attempts, failure, is_given_up, has_anything_personal)] = await post.left()
            assert (attempts, is_given_up, has_anything_personal) == (1, True, False), (step, answer)
            assert failure.endswith(f" {answer[:3]}")
            assert "ann@" not in f"{failure} {logged(caplog)}"
            await post.make_due()
            assert await mailing.step() == 0
            await post.rows.execute("DELETE FROM outbox")
    assert metric(mailing, "api_given_up_mails_total") == 16


async def test_a_server_that_refuses_every_mail_costs_no_mail(mailing: Mailing, post: Post, smtp: MailServer) -> None:
    await post.write()
    for step, answer in (("greeting", "554 not you"), ("EHLO", "550 no"), ("MAIL", "530 log in first")):
        smtp.on_step = answering(step, answer)
        await mailing.step()
        [(_, failure, is_given_up, _)] = await post.left()
        assert not is_given_up, failure
        await post.make_due()


async def test_a_server_that_hangs_is_left_and_tried_again(
    make_mailing: MakeMailing, post: Post, smtp: MailServer
) -> None:
    async def hang(at: str, conversation: Conversation) -> str | None:
        if at == hanging:
            await asyncio.Event().wait()
        return None

    smtp.on_step = hang
    mailing = make_mailing(smtp_url=url_of(smtp), mail_timeout_seconds=0.3)
    await post.write()
    for attempt, hanging in enumerate(("greeting", "EHLO", "MAIL", "RCPT", "DATA", "354", "message"), 1):
        await mailing.step()
        assert [(row[0], row[2]) for row in await post.left()] == [(attempt, False)], hanging
        await post.make_due()


async def test_a_connection_that_is_reset_is_made_again(mailing: Mailing, post: Post, smtp: MailServer) -> None:
    async def reset(at: str, conversation: Conversation) -> str | None:
        if at == resetting:
            conversation.reset()
        return None

    for resetting in ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "354", "message"):
        smtp.on_step = reset
        await post.write()
        await mailing.step()
        assert [(row[0], row[2]) for row in await post.left()] == [(1, False)], resetting
        smtp.on_step = None
        await post.make_due()
        await mailing.step()
        # The server may have taken the message before it reset the connection: then it has the same message twice.
        assert len(set(smtp.message_ids)) == 1
        assert len({str(one.message["Date"]) for one in smtp.received}) == 1
        assert await post.left() == []
        smtp.received.clear()


async def test_a_server_that_says_no_goodbye_has_the_mail_all_the_same(
    mailing: Mailing, post: Post, smtp: MailServer
) -> None:
    async def leave(at: str, conversation: Conversation) -> str | None:
        if at == "250":
            conversation.reset()
        return None

    smtp.on_step = leave
    await post.write()
    await mailing.step()
    if await post.left():
        # The reset overtook the answer, so nobody can know.
        smtp.on_step = None
        await post.make_due()
        await mailing.step()
    assert await post.left() == []
    assert len(set(smtp.message_ids)) == 1


async def test_a_server_that_is_away_for_a_day_costs_no_mail_before_that(make_mailing: MakeMailing, post: Post) -> None:
    mailing = make_mailing(smtp_url=f"smtp://127.0.0.1:{free_port()}")
    await post.write()
    for attempt in range(1, 20):
        await post.make_due()
        await mailing.step()
        assert await post.left() == [(attempt, "no connection", False, True)]
    await post.rows.execute("UPDATE outbox SET written_at = now() - interval '86401 seconds'")
    await post.make_due()
    await mailing.step()
    assert await post.left() == [(20, "no connection", True, False)]


async def test_a_mail_that_has_waited_for_a_day_is_still_sent_if_the_server_takes_it(
    mailing: Mailing, post: Post, smtp: MailServer
) -> None:
    await post.write()
    await post.rows.execute("UPDATE outbox SET written_at = now() - interval '3 days'")
    await mailing.step()
    assert len(smtp.received) == 1


def test_the_waits_grow_up_to_a_longest_one() -> None:
    waits = [wait_after(attempt, first=60, longest=3600) for attempt in (1, 2, 3, 6, 7, 50, 100_000)]
    assert waits == [60, 120, 240, 1920, 3600, 3600, 3600]


async def test_waits_differ_so_that_mails_are_not_all_tried_at_once(
    mailing: Mailing, post: Post, smtp: MailServer
) -> None:
    smtp.on_step = answering("RCPT", "451 later")
    for _ in range(5):
        await post.write()
    await mailing.step()
    waits = [row[0] for row in await post.rows.fetch("SELECT extract(epoch FROM due_at - now())::float8 FROM outbox")]
    assert len({round(wait, 3) for wait in waits}) == 5
    assert all(30 < wait < 90 for wait in waits)


async def test_two_apis_send_nothing_twice(make_mailing: MakeMailing, post: Post, smtp: MailServer) -> None:
    first, second = (make_mailing(smtp_url=url_of(smtp), mails_at_once=3) for _ in range(2))
    for _ in range(30):
        await post.write()

    async def send_all(mailing: Mailing) -> int:
        count = 0
        while sent := await mailing.step():
            count += sent
        return count

    counts = await asyncio.gather(send_all(first), send_all(second))
    assert sum(counts) == 30
    assert len(smtp.message_ids) == len(set(smtp.message_ids)) == 30
    assert await post.left() == []


async def test_a_mail_that_another_api_has_taken_meanwhile_is_left_to_it(
    make_mailing: MakeMailing, post: Post, smtp: MailServer
) -> None:
    """As after a pause of the whole process, which no deadline can see coming."""
    first, second = (make_mailing(smtp_url=url_of(smtp)) for _ in range(2))

    async def take_it_away(at: str, conversation: Conversation) -> str | None:
        smtp.on_step = answering("RCPT", "451 later")
        await post.make_due()
        await second.step()
        smtp.on_step = None
        return None

    smtp.on_step = take_it_away
    await post.write()
    await first.step()
    # The first one has sent it, and does not delete what the second one still has to try.
    assert [row[:2] for row in await post.left()] == [(2, "recipient 451")]


async def test_no_transaction_is_open_while_a_mail_is_sent(mailing: Mailing, post: Post, smtp: MailServer) -> None:
    open_ones: list[int] = []

    async def count(at: str, conversation: Conversation) -> str | None:
        rows = await post.rows.fetch(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND (xact_start IS NOT NULL AND state <> 'idle') AND backend_type = 'client backend'"
        )
        open_ones.append(rows[0][0])
        return None

    smtp.on_step = count
    await post.write()
    await mailing.step()
    assert open_ones == [0] * 8


async def test_the_server_is_told_the_login_over_tls_only(
    make_mailing: MakeMailing, post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate.chain, certificate.key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    login = ("ann@example.com", "a b/c?#@:%é")
    given = "ann%40example.com:a%20b%2Fc%3F%23%40%3A%25%C3%A9@"
    for scheme, starttls, tls in (
        ("smtp+starttls", server_side, None),
        ("smtp", server_side, None),
        ("smtps", None, server_side),
    ):
        async with mail_server(login=login, starttls=starttls, tls=tls) as server:
            await post.write()
            await make_mailing(smtp_url=url_of(server, scheme, given)).step()
            [received] = server.received
            assert received.is_over_tls, scheme
            assert received.user == login[0]
    assert await post.left() == []


async def test_a_server_without_starttls_or_with_a_strange_certificate_gets_nothing(
    make_mailing: MakeMailing, post: Post, smtp: MailServer, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate.chain, certificate.key)
    async with mail_server(starttls=server_side) as strange, mail_server(tls=server_side) as strange_tls:
        for url in (url_of(smtp, "smtp+starttls"), url_of(strange, "smtp"), url_of(strange_tls, "smtps")):
            await post.write()
            await make_mailing(smtp_url=url).step()
            [(_, failure, is_given_up, _)] = await post.left()
            assert failure, url
            assert not is_given_up
            await post.rows.execute("DELETE FROM outbox")
        assert not smtp.received + strange.received + strange_tls.received


async def test_a_wrong_login_costs_no_mail(make_mailing: MakeMailing, post: Post) -> None:
    async with mail_server(login=("ann", "right")) as server:
        await post.write()
        await make_mailing(smtp_url=url_of(server, login="ann:wrong@")).step()
        assert [row[1:3] for row in await post.left()] == [("log-in 535", False)]
        await post.make_due()
        await make_mailing(smtp_url=url_of(server, login="ann:right@")).step()
        assert [one.user for one in server.received] == ["ann"]


async def test_an_address_may_have_any_letters(mailing: Mailing, post: Post, smtp: MailServer) -> None:
    for address in ("jörg@example.com", "ann@bücher.example", "o'neil+cars@example.com", '"two words"@example.com'):
        await post.rows.execute("UPDATE users SET email = %s", address)
        await post.write()
        await mailing.step()
        local, _, domain = address.rpartition("@")
        assert [one.recipients for one in smtp.received] == [[f"{local}@{domain.encode('idna').decode()}"]]
        smtp.received.clear()


async def test_an_address_that_is_not_one_mailbox_gets_no_mail(mailing: Mailing, post: Post, smtp: MailServer) -> None:
    for address in (
        *("a@b.example, eve@evil.example", "a@b.example\r\nBcc: eve@evil.example", "nobody", "<a@b.example>"),
        *("Eve <eve@evil.example>", "a@b.example>\r\nRCPT TO:<eve@evil.example", "", "group: a@b.example;"),
    ):
        await post.rows.execute("UPDATE users SET email = %s", address)
        await post.write()
        await mailing.step()
        assert await post.left() == [(1, "address", True, False)], address
        await post.rows.execute("DELETE FROM outbox")
    assert smtp.connections == 0


async def test_development_writes_each_mail_into_a_file_and_says_where(
    make_mailing: MakeMailing, post: Post, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await post.write()
    with caplog.at_level(logging.INFO, logger="api"):
        await make_mailing().step()
    [path] = (tmp_path / "data" / "mail").iterdir()
    assert path.suffix == ".eml"
    assert path.stat().st_mode & 0o077 == 0
    assert b"To: ann@example.com" in path.read_bytes()
    assert str(path) in logged(caplog)
    assert "ann@" not in logged(caplog)
    assert await post.left() == []


async def test_production_without_a_server_sends_nothing_and_says_so(
    make_mailing: MakeMailing, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="api"):
        make_mailing(environment="production").start()
    assert "no mail is sent" in caplog.text
    assert "SMTP_URL" in logged(caplog)


async def test_a_stopping_api_finishes_the_mail_that_it_sends(
    make_mailing: MakeMailing, post: Post, smtp: MailServer
) -> None:
    at_message, may_go_on = asyncio.Event(), asyncio.Event()

    async def wait(at: str, conversation: Conversation) -> str | None:
        if at == "message":
            at_message.set()
            await may_go_on.wait()
        return None

    smtp.on_step = wait
    mailing = make_mailing(smtp_url=url_of(smtp), mail_seconds=0.01)
    await post.write()
    mailing.start()
    await asyncio.wait_for(at_message.wait(), 20)
    stopping = asyncio.create_task(mailing.stop())
    may_go_on.set()
    await stopping
    assert len(smtp.received) == 1
    assert await post.left() == []
