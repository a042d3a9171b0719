"""Does what must be done now and then, while the API serves. All processes try; one at a time gets the turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial

from shared.logs import log_of
from shared.postgres import Database, DatabaseUnavailable
from shared.repositories.chores import ChoreRepository, Work
from shared.repositories.erasure import erase_some
from shared.repositories.vocabulary import rebuild_vocabulary
from shared.settings import Settings

log = log_of(__name__)

_FIRST_SECONDS = 60.0
"""A process tries first after this long, so that a start is not slowed down."""
_TIMEOUT_SECONDS = 600.0
"""A chore may read all listings, which takes longer than a statement of a request may take."""


@dataclass(frozen=True, slots=True)
class Chore:
    """A kind of work, and how often it is to be done."""

    name: str
    seconds: float
    work: Work


class Chores:
    """Each chore has a task. They use one connection of their own, which opens with the first turn."""

    def __init__(self, settings: Settings) -> None:
        self._database = Database(replace(settings, database_pool_size=1, database_timeout_seconds=_TIMEOUT_SECONDS))
        self._repository = ChoreRepository(self._database)
        self._chores = (
            Chore("vocabulary", settings.vocabulary_seconds, rebuild_vocabulary),
            Chore("erasure", settings.erasure_seconds, partial(erase_some, after_days=settings.erase_after_days)),
        )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep(chore)) for chore in self._chores]

    async def stop(self) -> None:
        """Stop at once. The step that is not finished changes nothing, and another process goes on from there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._database.close()

    async def do(self) -> None:
        """Do now what is due. Raises DatabaseUnavailable."""
        for chore in self._chores:
            await self._repository.do(chore.name, chore.seconds, chore.work)

    async def _keep(self, chore: Chore) -> None:
        pause = min(_FIRST_SECONDS, chore.seconds)
        while True:
            await asyncio.sleep(pause)
            # More often than it is due: another process may have had the last turn, at any time.
            pause = chore.seconds / 4
            try:
                await self._repository.do(chore.name, chore.seconds, chore.work)
            except DatabaseUnavailable as error:
                log.warning("chore not done yet", chore=chore.name, reason=str(error))
            except Exception:
                log.exception("chore not done yet", chore=chore.name)
