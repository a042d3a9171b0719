"""Sends the mails that wait in the outbox. Every API does this all the time, and each mail is taken by one of them.

An API takes a few mails for twice the time that an attempt may take. So it has sent them, or has failed, before any
other API may take them; only if it dies are they taken again. What it logs has no address.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from api.mail.forgotten import AT_ONCE, answer_some
from api.mail.letters import Letters, recipient
from api.mail.smtp import Carrier, Files, NotSent, Smtp
from api.mail.timely import Timely, Verdict
from api.mail_links import MailLinks
from api.steps import keep_stepping
from shared.access.smtp_server import SmtpServer
from shared.domain.mails import WaitingMail
from shared.logs import log_of
from shared.metrics import gauge
from shared.postgres import Database
from shared.repositories.outbox import NOT_NOW, Counts, Outbox, TakenMail
from shared.settings import Settings

log = log_of(__name__)

_COUNTED_SECONDS = 10.0
"""How often the waiting mails are counted."""
_LATER_SECONDS = 60.0
"""A mail for which this is not the time is looked at again after so long."""
_SPREAD = 0.25
"""How much a wait may differ from its length, so that mails that failed together are not tried together again."""


def wait_after(attempt: int, *, first: float, longest: float) -> float:
    """Returns how many seconds the next attempt waits after this one has failed, without the spread."""
    # A float has no power of two beyond 1023.
    return float(min(first * 2.0 ** min(attempt - 1, 500), longest))


class Mailing(Collector):
    """Each API has one, with a connection of its own, so that requests do not wait for it."""

    def __init__(self, settings: Settings, links: MailLinks) -> None:
        self._settings = settings
        self._letters = Letters(settings, links)
        self._carrier = _carrier(settings, self._letters.sender.domain)
        self._database = Database(replace(settings, database_pool_size=1))
        self._outbox = Outbox(self._database, is_on=settings.has_mail)
        self._timely = Timely(settings, self._database)
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._counts = Counts(0, 0.0, 0)
        self._counted_at = float("-inf")
        self._sent = 0
        self._failed = 0
        self._given_up = 0

    def start(self) -> None:
        """Begin to send in the background, or say that no mail is sent."""
        if self._carrier is None:
            log.warning("no mail is sent, and what needs mail is off", missing="SMTP_URL")
            return
        steps = keep_stepping(
            self._look,
            self._settings.mail_seconds,
            log=log,
            failure="no mail could be sent",
            waits_first=True,
            stopping=self._stopping,
        )
        self._task = asyncio.create_task(steps, name="mailing")

    async def stop(self) -> None:
        """Take no more mails, and wait for those that are being sent, as long as an attempt may take."""
        self._stopping.set()
        if self._task is not None:
            patience = min(self._settings.mail_timeout_seconds, self._settings.shutdown_seconds / 2)
            await asyncio.wait([self._task], timeout=patience)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._timely.close()
        await self._database.close()

    async def answer_forgotten(self) -> int:
        """Write the mails to people who have forgotten their password. Returns how many requests there were."""
        return await answer_some(self._database, self._outbox, self._settings)

    async def step(self) -> int:
        """Send the mails that are due, at most `mails_at_once`. Returns their number. Raises DatabaseUnavailable."""
        settings = self._settings
        taken = await self._outbox.take(
            settings.mails_at_once,
            seconds=2 * settings.mail_timeout_seconds,
            give_up_seconds=settings.mail_give_up_seconds,
        )
        outcomes = await asyncio.gather(*(self._handle(one) for one in taken), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return len(taken)

    async def _handle(self, taken: TakenMail) -> None:
        mail = taken.mail
        name = f"{mail.written_at:%Y%m%d-%H%M%S}-{mail.kind.value}-{mail.id}"
        try:
            if taken.is_useless:
                raise NotSent("its link has expired", is_final=True)
            match await self._timely.verdict(mail):
                case Verdict.NEVER:
                    await self._outbox.sent(mail)
                    return
                case Verdict.LATER:
                    await self._outbox.postpone(mail, _LATER_SECONDS, NOT_NOW)
                    return
            await self._send(mail, name)
        except NotSent as failure:
            await self._failure(mail, failure)
            return
        await self._outbox.sent(mail)
        self._sent += 1
        where = {"file": str(self._carrier.path(name))} if isinstance(self._carrier, Files) else {}
        log.info("mail sent", mail_id=mail.id, kind=mail.kind.value, user_id=mail.user_id, **where)

    async def _send(self, mail: WaitingMail, name: str) -> None:
        assert self._carrier is not None
        try:
            to, message = recipient(mail.address), self._letters.message(mail)
        except ValueError:
            raise NotSent("address", is_final=True) from None
        except Exception:
            log.exception("letter not written", mail_id=mail.id, kind=mail.kind.value)
            raise NotSent("letter") from None
        await self._carrier.send(message, self._letters.sender, to, name)

    async def _failure(self, mail: WaitingMail, failure: NotSent) -> None:
        self._failed += 1
        told: dict[str, Any] = {
            "mail_id": mail.id,
            "kind": mail.kind.value,
            "user_id": mail.user_id,
            "attempt": mail.attempt,
        }
        if failure.is_final or mail.is_late:
            await self._outbox.give_up(mail, failure.reason)
            self._given_up += 1
            log.warning("mail given up", reason=failure.reason, **told)
            return
        settings = self._settings
        wait = wait_after(mail.attempt, first=settings.mail_retry_seconds, longest=settings.mail_longest_retry_seconds)
        wait *= random.uniform(1 - _SPREAD, 1 + _SPREAD)
        await self._outbox.postpone(mail, wait, failure.reason)
        log.warning("mail not sent yet", reason=failure.reason, again_in_seconds=round(wait), **told)

    async def _look(self) -> bool:
        """Write and send some mails. Returns whether there may be more."""
        answered = await self.answer_forgotten()
        sent = await self.step()
        await self._count()
        return sent == self._settings.mails_at_once or answered == AT_ONCE

    async def _count(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._counted_at >= _COUNTED_SECONDS:
            self._counts, self._counted_at = await self._outbox.counts(), now

    def collect(self) -> Iterator[Metric]:
        counts = self._counts
        yield gauge("api_waiting_mails", "Mails that waited to be sent at the last look", counts.waiting)
        yield gauge("api_oldest_mail_seconds", "How long the oldest of them had waited", counts.oldest_seconds)
        yield gauge("api_failed_mails", "Mails that were given up, and whose rows are still there", counts.given_up)
        yield CounterMetricFamily("api_sent_mails", "Mails sent", value=self._sent)
        yield CounterMetricFamily("api_mail_failures", "Attempts to send a mail that failed", value=self._failed)
        yield CounterMetricFamily("api_given_up_mails", "Mails given up", value=self._given_up)


def _carrier(settings: Settings, own_name: str) -> Carrier | None:
    """Returns what takes the mails; None if this deployment sends none."""
    if settings.smtp_url:
        return Smtp(SmtpServer.of(settings.smtp_url), own_name or "localhost", settings.mail_timeout_seconds)
    return Files(settings.mail_folder) if settings.mail_folder else None
