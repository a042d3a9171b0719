"""Does periodic work while the API serves. Every API process tries to do it, and one at a time does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial

from shared.logs import log_of
from shared.postgres import Database, DatabaseUnavailable
from shared.repositories.address_names import name_accounts
from shared.repositories.alert_mails import mail_daily
from shared.repositories.alerts import remove_old_alerts
from shared.repositories.beginnings import remove_old_beginnings
from shared.repositories.chores import ChoreRepository, Work
from shared.repositories.erasure import erase_some
from shared.repositories.mail_links import remove_old_links
from shared.repositories.message_pictures import remove_left_over
from shared.repositories.outbox import remove_old_mails
from shared.repositories.reanalysis import reanalyse_some
from shared.repositories.recent_texts import remove_old_texts
from shared.repositories.repeats import remove_old_keys
from shared.repositories.second_factors import lock_anew, vault_of
from shared.repositories.suggestions import collect_suggestions
from shared.repositories.uploads import remove_old_uploads
from shared.repositories.users import free_everybody
from shared.repositories.vocabulary import rebuild_vocabulary
from shared.repositories.waiting import remove_seen
from shared.settings import Settings

log = log_of(__name__)

_FIRST_SECONDS = 60.0
"""A process first tries this long after its start, so that the work does not slow the start down."""
_TIMEOUT_SECONDS = 600.0
"""A chore may read all listings, which takes longer than a statement of a request may take."""


@dataclass(frozen=True, slots=True)
class Chore:
    """Work that is done every `seconds`."""

    name: str
    seconds: float
    work: Work


class Chores:
    """Runs each chore in a task. All chores share one connection, which opens when the first chore is tried."""

    def __init__(self, settings: Settings, *, missing_sizes: Work, missing_likenesses: Work) -> None:
        """Both are `make_some` of the modules of api/pictures with these names."""
        self._database = Database(replace(settings, database_pool_size=1, database_timeout_seconds=_TIMEOUT_SECONDS))
        self._repository = ChoreRepository(self._database)
        old_alerts = partial(
            remove_old_alerts,
            seen_days=settings.seen_alert_days,
            unseen_days=settings.unseen_alert_days,
            most=settings.max_alerts_per_user,
        )
        self._chores: tuple[Chore, ...] = (
            Chore("analysis", settings.analysis_seconds, reanalyse_some),
            Chore("vocabulary", settings.vocabulary_seconds, rebuild_vocabulary),
            Chore("suggestions", settings.vocabulary_seconds, collect_suggestions),
            Chore("alerts", settings.alert_cleaning_seconds, old_alerts),
            Chore(
                "repeatable requests",
                settings.repeatable_cleaning_seconds,
                partial(remove_old_keys, seconds=settings.repeatable_seconds),
            ),
            Chore("first messages", settings.alert_cleaning_seconds, remove_old_beginnings),
            Chore(
                "texts of first messages",
                settings.alert_cleaning_seconds,
                partial(remove_old_texts, seconds=settings.similar_messages_seconds),
            ),
            Chore("unfinished uploads", settings.repeatable_cleaning_seconds, remove_old_uploads),
            Chore("what waited and was seen", settings.alert_cleaning_seconds, remove_seen),
            Chore("mails", settings.mail_cleaning_seconds, partial(remove_old_mails, days=settings.failed_mail_days)),
            Chore("links in mails", settings.mail_cleaning_seconds, remove_old_links),
            Chore("pictures of messages", settings.repeatable_cleaning_seconds, remove_left_over),
            Chore("addresses", settings.erasure_seconds, name_accounts),
            Chore("second factors", settings.erasure_seconds, partial(lock_anew, vault_of(settings))),
            Chore("smaller sizes of pictures", settings.missing_sizes_seconds, missing_sizes),
            Chore("likenesses of pictures", settings.missing_likenesses_seconds, missing_likenesses),
            Chore("erasure", settings.erasure_seconds, partial(erase_some, after_days=settings.erase_after_days)),
        )
        if settings.has_mail:
            daily = partial(mail_daily, seconds=settings.daily_mail_seconds)
            self._chores += (Chore("daily mails", settings.daily_mail_seconds / 48, daily),)
        if not settings.confirms_addresses:
            # Whoever had to confirm an address before this was switched off is not kept waiting for a mail.
            self._chores += (Chore("confirmations", settings.mail_cleaning_seconds, free_everybody),)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to do the chores in the background."""
        self._tasks = [asyncio.create_task(self._keep(chore)) for chore in self._chores]

    async def stop(self) -> None:
        """Stop at once. An unfinished step changes nothing, and another process goes on from there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._database.close()

    async def do(self) -> None:
        """Do the chores that are due. Raises DatabaseUnavailable."""
        for chore in self._chores:
            await self._repository.do(chore.name, chore.seconds, chore.work)

    async def _keep(self, chore: Chore) -> None:
        pause = min(_FIRST_SECONDS, chore.seconds)
        while True:
            await asyncio.sleep(pause)
            # Try more often than the chore is due: another process may have done it last, at any time.
            pause = chore.seconds / 4
            try:
                await self._repository.do(chore.name, chore.seconds, chore.work)
            except DatabaseUnavailable as error:
                log.warning("chore not done yet", chore=chore.name, reason=str(error))
            except Exception:
                log.exception("chore not done yet", chore=chore.name)
