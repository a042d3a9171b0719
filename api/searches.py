"""Lets few searches run at once: they cost more than other reads, and must leave connections to Postgres for those.

No address has more than half of the places, running or waiting: the others are for other addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.problems import Unavailable


@dataclass(slots=True)
class _Address:
    """An address with searches that run or wait."""

    running: asyncio.Semaphore
    waiting: int = 0
    searches: int = 0


class SearchPlaces:
    """At most `running` searches run at once in this process, and at most `waiting` wait."""

    def __init__(self, running: int, waiting: int) -> None:
        self._running = asyncio.Semaphore(running)
        self._running_of_one = max(1, running // 2)
        self._most_waiting = waiting
        self._waiting_of_one = max(1, waiting // 2)
        self._waiting = 0
        self._addresses: dict[str, _Address] = {}

    @asynccontextmanager
    async def place(self, address: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it. Raises Unavailable if too many wait already, of all or of this address."""
        own = self._addresses.setdefault(address, _Address(asyncio.Semaphore(self._running_of_one)))
        if self._waiting >= self._most_waiting or own.waiting >= self._waiting_of_one:
            self._forget(address)
            raise Unavailable("Too many searches at once.")
        own.searches += 1
        try:
            async with self._turn(own):
                yield
        finally:
            own.searches -= 1
            self._forget(address)

    @asynccontextmanager
    async def _turn(self, own: _Address) -> AsyncIterator[None]:
        self._waiting += 1
        own.waiting += 1
        has_own = has_place = False
        try:
            # An address that has its share waits here, so that it is not in the way of others.
            has_own = await own.running.acquire()
            has_place = await self._running.acquire()
        finally:
            self._waiting -= 1
            own.waiting -= 1
            if has_own and not has_place:
                own.running.release()
        try:
            yield
        finally:
            self._running.release()
            own.running.release()

    def _forget(self, address: str) -> None:
        if not self._addresses[address].searches:
            del self._addresses[address]
