"""Tells people who are away: finds what waits, makes sure that they are nowhere online, and tells by push and by mail.

Every API does this all the time, and sends the push messages; mails go to the outbox (api/mail). What is due is taken
by one of them, with a lease. Nothing is told while the person is online, or while nobody knows who is (api/absence.py).
What was read meanwhile, or comes from somebody who was blocked meanwhile, is told no more: this is asked again just
before each attempt to send.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

import msgspec
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from api.absence import Absence, NobodyKnows
from api.push import news
from api.push.news import News
from api.push.service import Outcome, PushServices
from api.push.vapid import Vapid
from api.steps import keep_stepping
from shared.access.secret import keys_for
from shared.logs import log_of
from shared.metrics import gauge
from shared.postgres import Database, DatabaseUnavailable
from shared.repositories.alerts import AlertRepository
from shared.repositories.push import Push, PushRepository
from shared.repositories.waiting import ALERTS, Waiting, WaitingRepository, Way
from shared.settings import Settings

log = log_of(__name__)

_TAKEN_AT_ONCE = 100
_LEASE_SECONDS = 30.0
_LONGEST_AGAIN = 20.0
"""The longest time between two looks at somebody who is online, in `away_again_seconds`."""
_FIRST_RETRY_SECONDS = 15.0
_RETRY_FACTOR = 3.0
_COUNT_SECONDS = 10.0
"""How often what waits is counted for the metrics."""
_ONLINE_SECONDS = 30.0
"""When somebody has come online before a message was sent, it is looked at again after this long."""


class Away(Collector):
    """Each API has one, with connections of its own, so that requests do not wait for it."""

    def __init__(self, settings: Settings, vapid: Vapid | None) -> None:
        """Without `vapid`, no push messages are sent."""
        self._settings = settings
        self._database = Database(replace(settings, database_pool_size=3))
        self._waiting = WaitingRepository(self._database)
        self._alerts = AlertRepository(self._database)
        self._pushes = PushRepository(self._database)
        self._absence = Absence(settings, self._database)
        self._services = PushServices(settings, vapid) if vapid else None
        self._topic_key = keys_for(settings.jwt_secrets, "topics of push messages")[0]
        self._tasks: list[asyncio.Task[None]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        """Set when there may be a push message to send, or a place to send one."""
        self._unsure = 0
        self._outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self._given_up = 0
        self._counted_at: dict[str, float] = {}
        self._waiting_news = 0
        self._waiting_pushes = 0

    def start(self) -> None:
        """Begin in the background."""
        if self._services is None:
            log.warning("push messages are off", reason="VAPID_PRIVATE_KEY is not set")
        self._tasks = [
            self._kept(self._look, "telling those who are away"),
            self._kept(self._send_some, "push messages"),
        ]

    async def stop(self) -> None:
        """Stop at once. Other processes take what was under way, when its lease is over."""
        for task in (*self._tasks, *self._under_way):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._under_way, return_exceptions=True)
        if self._services is not None:
            await self._services.close()
        await self._absence.close()
        await self._database.close()

    def _kept(self, step: Callable[[], Awaitable[bool]], name: str) -> asyncio.Task[None]:
        failure = "those who are away could not be told"
        steps = keep_stepping(step, self._settings.waiting_seconds, log=log, failure=failure)
        return asyncio.create_task(steps, name=name)

    # Who has to be told

    async def _look(self) -> bool:
        """Enter what is new, and decide about what is due. Returns whether there may be more at once."""
        most = self._settings.max_waiting_read
        read = await self._waiting.enter(
            least_seconds=self._settings.waiting_unseen_seconds,
            most=most,
            has_mail=self._settings.has_mail,
            mail_seconds=self._settings.message_mail_seconds,
        )
        taken = await self._waiting.take(_TAKEN_AT_ONCE, _LEASE_SECONDS)
        if taken:
            await self._decide(taken)
        if self._is_time("news"):
            self._waiting_news = await self._waiting.waiting()
        return read == most or len(taken) == _TAKEN_AT_ONCE

    async def _decide(self, taken: Sequence[Waiting]) -> None:
        still = [one for one in taken if one.waits and self._can_tell(one.way)]
        for one in taken:
            if one not in still:
                await self._waiting.rest(one)
        try:
            online = await self._absence.online({one.user_id for one in still})
        except NobodyKnows as error:
            self._unsure += 1
            log.info("it is not known who is online", reason=str(error))
            # They stay taken until their lease is over. The times of earlier looks do not count any more.
            for one in still:
                await self._waiting.later(one, self._settings.away_seconds / 2, is_away=False)
            return
        for one in still:
            await self._decide_about(one, is_online=one.user_id in online)

    def _can_tell(self, way: Way) -> bool:
        return self._services is not None if way is Way.PUSH else self._settings.has_mail

    async def _decide_about(self, one: Waiting, *, is_online: bool) -> None:
        settings = self._settings
        if is_online and one.other_id == ALERTS:
            # An alert is shown at once to whoever is online, and its number stays at the bell.
            await self._waiting.told_live(one)
        elif is_online:
            least = settings.away_again_seconds
            await self._waiting.later(one, min(max(one.seconds / 4, least), least * _LONGEST_AGAIN), is_away=False)
        elif one.away_seconds is None or one.away_seconds < settings.away_seconds:
            rest = settings.away_seconds - (one.away_seconds or 0.0)
            await self._waiting.later(one, rest, is_away=True)
        elif one.way is Way.MAIL and one.seconds < settings.message_mail_seconds:
            # The first one was read meanwhile, and another has come.
            await self._waiting.later(one, settings.message_mail_seconds - one.seconds, is_away=True)
        elif one.way is Way.MAIL:
            await self._waiting.mail(one)
        elif await self._waiting.push(one):
            self._wake.set()

    # Push messages

    async def _send_some(self) -> bool:
        """Take as many messages as there are places, and send them in tasks. Returns whether there may be more."""
        self._wake.clear()
        places = self._settings.max_pushes - len(self._under_way)
        if self._services is None or places <= 0:
            return await self._woken()
        lease = _LEASE_SECONDS + self._settings.push_timeout_seconds
        taken = await self._pushes.take(places, lease)
        if taken:
            found = await self._news(taken)
            for push in taken:
                task = asyncio.create_task(self._send(self._services, push, found.get(push.id)))
                self._under_way.add(task)
                task.add_done_callback(self._sent)
        if self._is_time("pushes"):
            self._waiting_pushes = await self._pushes.waiting()
        return len(taken) == places or await self._woken()

    async def _woken(self) -> bool:
        """Wait until there may be something to do; at most until the next regular look."""
        try:
            async with asyncio.timeout(self._settings.waiting_seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        return True

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._wake.set()

    async def _news(self, taken: Sequence[Push]) -> dict[int, News]:
        """Returns what each message says, if there still is something to say."""
        conversations = [(one.user_id, one.other_id) for one in taken if one.other_id != ALERTS]
        unread = await self._waiting.unread(conversations) if conversations else {}
        alert_ids = [one.news_id for one in taken if one.other_id == ALERTS]
        alerts = {alert.id: alert for alert in await self._alerts.by_ids(alert_ids)} if alert_ids else {}
        found: dict[int, News] = {}
        for push in taken:
            shows_text = push.subscription.shows_text
            if push.other_id != ALERTS:
                messages = unread.get((push.user_id, push.other_id))
                if messages is not None:
                    found[push.id] = news.of_messages(messages, shows_text=shows_text)
            elif push.news_id in alerts:
                alert = msgspec.json.decode(alerts[push.news_id].json)
                one = news.of_alert(alert, shows_text=shows_text) if alert["seen_at"] is None else None
                if one is not None:
                    found[push.id] = one
        return found

    async def _send(self, services: PushServices, push: Push, told: News | None) -> None:
        try:
            await self._attempt(services, push, told)
        except (DatabaseUnavailable, NobodyKnows) as error:
            # Its lease runs out, and then it is taken again.
            log.debug("a push message waits", reason=str(error))
        except Exception:
            log.exception("a push message was not sent")

    async def _attempt(self, services: PushServices, push: Push, told: News | None) -> None:
        if told is None or not push.is_alive:
            await self._pushes.done(push)
            return
        if await self._absence.online([push.user_id]):
            await self._again(push, _ONLINE_SECONDS)
            return
        is_alert = push.other_id == ALERTS
        sent = await services.send(
            told.payload,
            push.subscription,
            urgency="normal" if is_alert else "high",
            topic="" if is_alert else self._topic(push),
        )
        self._outcomes[sent.outcome] += 1
        match sent.outcome:
            case Outcome.GONE:
                await self._pushes.gone(push)
            case Outcome.LATER:
                wait = _FIRST_RETRY_SECONDS * _RETRY_FACTOR ** (push.attempts - 1) * random.uniform(0.75, 1.25)
                await self._again(push, max(wait, sent.wait_seconds))
            case _:
                await self._pushes.done(push)

    async def _again(self, push: Push, seconds: float) -> None:
        if push.seconds + seconds > self._settings.push_retry_seconds:
            self._given_up += 1
            await self._pushes.done(push)
        else:
            await self._pushes.again(push, seconds)

    def _topic(self, push: Push) -> str:
        """Returns a name for the conversation that tells the push service nothing: 32 characters (RFC 8030, 5.4)."""
        digest = hmac.digest(self._topic_key, f"{push.user_id} {push.other_id}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:24]).decode()

    # Metrics

    def _is_time(self, what: str) -> bool:
        """Returns whether it was not counted for a while."""
        now = asyncio.get_running_loop().time()
        is_time = now - self._counted_at.get(what, -_COUNT_SECONDS) >= _COUNT_SECONDS
        if is_time:
            self._counted_at[what] = now
        return is_time

    def collect(self) -> Iterator[Metric]:
        yield gauge("api_waiting_news", "Conversations and alerts about which it was not decided", self._waiting_news)
        yield gauge("api_waiting_pushes", "Push messages that wait to be sent", self._waiting_pushes)
        sent = CounterMetricFamily("api_pushes", "Attempts to send a push message, by outcome", labels=["outcome"])
        for outcome, count in self._outcomes.items():
            sent.add_metric([outcome.value], count)
        yield sent
        yield CounterMetricFamily("api_pushes_given_up", "Push messages that were given up", value=self._given_up)
        yield CounterMetricFamily("api_unknown_absences", "Looks that did not tell who is online", value=self._unsure)
