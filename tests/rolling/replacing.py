"""Replaces all processes of a deployment in turn under load, and counts what people notice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from tests.deployment.conftest import Deployment
from tests.end_to_end.faults.load import Load, Reckoning
from tests.end_to_end.faults.user import Absence
from tests.support.patience import Patience

LONGEST_AWAY_SECONDS = 6.0
"""Nobody is without a joined socket for longer. A process that waits for a CPU gets so much more."""
READERS = 4


@dataclass(frozen=True)
class Noticed:
    reckoning: Reckoning
    errors: int
    """Sends that were answered with an error."""
    statuses: Counter[int]
    """Answers to requests, by status."""
    longest_away: float
    """The most seconds that one person was without a joined socket."""
    allowed_away: float
    absences: list[Absence]
    """The longest first."""

    @property
    def lost(self) -> int:
        """Messages that were sent and not stored, and deliveries of stored ones that are missing. Each has two."""
        return self.reckoning.sent - self.reckoning.stored + 2 * self.reckoning.stored - self.reckoning.received

    @property
    def failed(self) -> int:
        """Requests that were answered with 5xx."""
        return sum(count for status, count in self.statuses.items() if status >= 500)


async def nothing() -> None:
    """What is to be done before the first replacement, if there is nothing."""


async def replace_all(
    deployment: Deployment, *, users: int, rate: float, sends: int, first: Callable[[], Awaitable[object]] = nothing
) -> Noticed:
    """Replace each process while people send `rate` messages a second, after `sends` more of them each time.

    `first` is done after the first of these messages.
    """
    statuses: Counter[int] = Counter()
    enough = asyncio.Event()

    async def read(client: aiohttp.ClientSession, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        while not enough.is_set():
            for path in ("/api/categories", "/api/conversations", "/"):
                async with client.get(deployment.nginx.url + path, headers=headers) as response:
                    await response.read()
                    statuses[response.status] += 1
            await asyncio.sleep(0.02)

    allowed = 0.0
    async with Load(deployment.settings, [deployment.nginx.socket_url], users=users, rate=rate) as load:
        async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as tasks:
            for user in load.users[:READERS]:
                tasks.create_task(read(client, user.token))
            try:
                await load.more_acknowledged(sends)
                await first()
                for number in (0, 1):
                    await load.more_acknowledged(sends)
                    patience = Patience(LONGEST_AWAY_SECONDS, deployment.process_ids)
                    await deployment.replace_gateway(number)
                    await load.until_all_joined()
                    allowed = max(allowed, patience.allowed)
                    assert await deployment.apis[number].stop() == 0
                    deployment.apis[number] = await deployment.processes.again(deployment.apis[number])
                await load.more_acknowledged(sends)
            finally:
                enough.set()
        reckoning = await load.reckon()
        return Noticed(reckoning, load.errors, statuses, load.longest_away, allowed, load.absences)
