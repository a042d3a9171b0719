"""Lets few searches run at once: they cost more than other reads, and must leave connections to Postgres for those."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.problems import Unavailable


class SearchPlaces:
    """At most `running` searches run at once in this process, and at most `waiting` wait."""

    def __init__(self, running: int, waiting: int) -> None:
        self._running = asyncio.Semaphore(running)
        self._most_waiting = waiting
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it. Raises Unavailable if too many wait already."""
        if self._waiting >= self._most_waiting:
            raise Unavailable("Too many searches at once.")
        self._waiting += 1
        try:
            await self._running.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._running.release()
