"""Tells people of listings: takes what has changed or ended from Postgres, stores alerts, and then publishes them.

It also ends the bans and the hidings whose time has passed, and announces that as if it were done by hand. And it
delivers the held messages that may go.

Every API does this all the time, and each change is taken by one of them. An API that dies in a step leaves the changes
to the others. One that dies after a step has stored the alerts, and gateways read them when they notice its death.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from api.realtime import Realtime
from api.steps import keep_stepping
from shared.domain.moderation import GroupSubject, SubjectKind
from shared.events import topics
from shared.events.alerts import alert_payload
from shared.events.messages import SEND, message_payload, told_topics
from shared.events.moderation import REPORTED
from shared.logs import log_of
from shared.metrics import gauge
from shared.postgres import Database
from shared.repositories.alerts import AlertRepository
from shared.repositories.holds import HoldRepository
from shared.repositories.listing_search import ListingSearch
from shared.repositories.listings import ListingRepository
from shared.repositories.matching import FilterOf, Matching
from shared.repositories.sanction_ends import end_some, take_untold
from shared.repositories.saved_searches import SavedSearchRepository
from shared.settings import Settings
from shared.timings import Timings

log = log_of(__name__)

RENEWED_AT_ONCE = 20
"""Searches whose words are made anew between two steps, after the vocabulary has changed."""
PUBLISHED_AT_ONCE = 100
"""Alerts that are read and published without a pause."""


class Telling(Collector):
    """Each API has one, with a connection of its own, so that requests do not wait for it."""

    def __init__(self, settings: Settings, realtime: Realtime, filter_of: FilterOf) -> None:
        """`filter_of` returns what a stored search means; None if it means nothing any more."""
        self._settings = settings
        self._realtime = realtime
        self._filter_of = filter_of
        self._database = Database(replace(settings, database_pool_size=1))
        search = ListingSearch(self._database, correction_seconds=settings.correction_seconds)
        self._searches = SavedSearchRepository(self._database, search.query)
        self._matching = Matching(self._database, filter_of, has_mail=settings.has_mail)
        self._alerts = AlertRepository(self._database)
        self._holds = HoldRepository(self._database)
        self._task: asyncio.Task[None] | None = None
        self._unsure_since: float | None = None
        """Loop time at which the first step began that failed since the last that did not."""
        self.looked = asyncio.Event()
        """Set after the first look at all changes, also if it failed."""
        self._waiting = 0
        self._changes = 0
        self._told = 0
        self._times = Timings("api_telling_seconds", "From a change of a listing until people were told of it", ())
        self._let_go = 0
        self._ended_bans = 0
        self._ended_hidings = 0

    def start(self) -> None:
        """Begin to tell in the background."""
        steps = keep_stepping(
            self._look,
            self._settings.telling_seconds,
            log=log,
            failure="nobody could be told of listings",
            looked=self.looked,
        )
        self._task = asyncio.create_task(steps, name="telling")

    async def stop(self) -> None:
        """Stop at once. Another process takes what is left, and gateways read what was stored and not published."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._database.close()

    async def step(self) -> int:
        """Tell of some changes. Returns their number. Raises DatabaseUnavailable.

        After a failure nobody knows what was stored and not published. So the next step that succeeds makes the
        gateways read it.
        """
        began = asyncio.get_running_loop().time()
        try:
            changes = await self._step()
        except Exception:
            if self._unsure_since is None:
                self._unsure_since = began
            raise
        if self._unsure_since is not None:
            self._realtime.messages_lost(asyncio.get_running_loop().time() - self._unsure_since)
            self._unsure_since = None
        return changes

    async def _step(self) -> int:
        most = self._settings.max_told_changes
        ended = max(await self._end_sanctions(most), await self._let_messages_go(most))
        clock = asyncio.get_running_loop().time
        began = clock()
        step = await self._matching.step(most, warning_days=self._settings.end_warning_days)
        for listing_id in step.ended:
            self._realtime.listing_gone(listing_id)
        for first in range(0, len(step.alert_ids), PUBLISHED_AT_ONCE):
            for alert in await self._alerts.by_ids(step.alert_ids[first : first + PUBLISHED_AT_ONCE]):
                self._realtime.broadcast([topics.alerts(alert.user_id)], alert.kind.value, alert_payload(alert.json))
        for waited in step.waited:
            self._times.observe((), waited + clock() - began)
        self._changes += step.changes
        self._told += len(step.alert_ids)
        self._waiting = await self._matching.waiting() if step.changes == most else 0
        return max(step.changes, ended)

    async def _let_messages_go(self, most: int) -> int:
        """Deliver the held messages that may go, and tell moderators of those that are new. Returns their number."""
        for hold in await self._holds.untold(most):
            subject = GroupSubject(SubjectKind.PERSON, hold.user_id)
            self._realtime.queue_changed(REPORTED, subject, hold.user_id, [hold.id])
        due = await self._holds.due(self._settings.held_message_seconds, most)
        for message_id in due:
            message = await self._holds.let_go(message_id)
            if message is not None:
                self._realtime.broadcast(told_topics(message), SEND, message_payload(message))
                self._realtime.reads_shown(message.shows_read)
                self._let_go += 1
        return len(due)

    async def _end_sanctions(self, most: int) -> int:
        """End the bans and hidings whose time has passed, and tell of what has ended. Returns their number, or `most`.

        Whatever was ended, and not told for want of Postgres, is told by the next step of an API that succeeds.
        """
        ends = await end_some(self._database, most)
        self._ended_bans += ends.bans
        self._ended_hidings += ends.hidings
        if not ends.is_to_tell:
            return ends.bans
        async with self._database.transaction() as transaction:
            ended = await take_untold(transaction, most)
            listings = ListingRepository(transaction, has_mail=self._settings.has_mail)
            shown = [(listing_id, await listings.read_for_anyone(listing_id)) for listing_id in ended.listing_ids]
            for user_id in ended.user_ids:
                self._realtime.seller_changed(user_id)
            for listing_id in ended.listing_ids:
                self._realtime.look_again(listing_id)
            for listing_id, json in shown:
                self._realtime.listing_updated(listing_id, json)
        return max(ends.bans, ends.hidings, len(ended.user_ids), len(ended.listing_ids))

    async def renew_words(self) -> int:
        """Make the words of some searches anew, if the vocabulary has changed. Returns their number."""
        return await self._searches.renew_words(self._filter_of, RENEWED_AT_ONCE)

    async def _look(self) -> bool:
        """Tell of some changes. Returns whether there may be more; if not, the words of some searches are made anew."""
        if await self.step() == self._settings.max_told_changes:
            return True
        await self.renew_words()
        return False

    def collect(self) -> Iterator[Metric]:
        yield gauge("api_waiting_changes", "Changed listings that waited to be told at the last look", self._waiting)
        yield CounterMetricFamily("api_told_changes", "Changed listings that were told", value=self._changes)
        yield CounterMetricFamily("api_alerts", "Alerts stored", value=self._told)
        yield from self._times.collect()
        yield CounterMetricFamily("api_delivered_held_messages", "Held messages delivered", value=self._let_go)
        ended = CounterMetricFamily("api_ended_sanctions", "Sanctions that ended by themselves", labels=["kind"])
        ended.add_metric(["ban"], self._ended_bans)
        ended.add_metric(["hiding"], self._ended_hidings)
        yield ended
