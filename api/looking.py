"""Looks for copies: takes new pictures from Postgres, and compares them with the pictures in listings of others.

It also tells the moderators of what was found, by this or by a trigger in schema.sql, and weighs the groups of their
queue anew when they have changed.

Every API does this all the time, and each picture or change is taken by one of them. A step is one transaction: an API
that dies in it leaves the picture to the others.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from api.pictures.likeness import is_copy, likeliest, looks
from api.realtime import Realtime
from shared.domain.moderation import GroupSubject, SubjectKind
from shared.events.moderation import REPORTED
from shared.logs import log_of
from shared.postgres import Database, DatabaseUnavailable
from shared.repositories.findings import FindingRepository
from shared.repositories.queue_weights import QueueWeights
from shared.settings import Settings

log = log_of(__name__)

_TOLD_AT_ONCE = 100
_WEIGHED_AT_ONCE = 500


class Looking:
    """Each API has one, with a connection of its own, so that requests do not wait for it."""

    def __init__(self, settings: Settings, realtime: Realtime) -> None:
        self._realtime = realtime
        self._seconds = settings.looking_seconds
        self._database = Database(replace(settings, database_pool_size=1))
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look in the background."""
        self._task = asyncio.create_task(self._run(), name="looking for copies")

    async def stop(self) -> None:
        """Stop at once. Another process takes the picture that was being compared."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._database.close()

    async def step(self) -> bool:
        """Look for the copies of one picture. Returns whether there was one to look for. Raises DatabaseUnavailable."""
        async with self._database.transaction() as transaction:
            findings = FindingRepository(transaction)
            taken = await findings.take(1)
            for picture in taken:
                copies: set[int] = set()
                for look in await asyncio.to_thread(looks, picture.print):
                    candidates = await findings.candidates(look, picture.seller_id)
                    near = await asyncio.to_thread(likeliest, look.frequencies, look.print, candidates)
                    copies |= await asyncio.to_thread(_copies, look.print, await findings.prints(near))
                await findings.looked(picture, sorted(copies))
            return bool(taken)

    async def tell(self) -> int:
        """Tell the moderators who look at the queue of some new findings. Returns their number."""
        found = await FindingRepository(self._database).untold(_TOLD_AT_ONCE)
        for one in found:
            subject = GroupSubject(SubjectKind.LISTING, one.listing_id)
            self._realtime.queue_changed(REPORTED, subject, one.seller_id, [one.id])
        return len(found)

    async def weigh(self) -> int:
        """Weigh some groups of the moderators' queue anew. Returns their number."""
        return await QueueWeights(self._database).weigh(_WEIGHED_AT_ONCE)

    async def _run(self) -> None:
        while True:
            try:
                is_done = not await self.step()
                told = await self.tell()
                if await self.weigh() or told or not is_done:
                    continue
            except DatabaseUnavailable as error:
                log.debug("no copies of pictures looked for", reason=str(error))
            except Exception:
                log.exception("no copies of pictures looked for")
            await asyncio.sleep(self._seconds)


def _copies(print: bytes, others: dict[int, bytes]) -> set[int]:
    return {picture_id for picture_id, other in others.items() if is_copy(print, other)}
