"""Looks people up together: while one statement runs, the next collects whoever asks meanwhile.

When a node's clients all come back at once, this is what keeps their connects from being a query each.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from shared.domain.users import Identity as Person
from shared.postgres import DatabaseUnavailable

Key = tuple[int, str]
"""A user's id and a session's id."""


class Source(Protocol):
    async def identities(self, pairs: list[Key]) -> dict[Key, Person]:
        """Those who exist. Raises DatabaseUnavailable."""


class Identities:
    """`find` answers what a user and a session are worth now; at most `max_batch` of them in one statement."""

    def __init__(self, source: Source, *, max_batch: int = 500) -> None:
        self._source = source
        self._max_batch = max_batch
        self._waiting: dict[Key, asyncio.Future[Person | None]] = {}
        self._running: asyncio.Task[None] | None = None

    async def find(self, user_id: int, session_id: str) -> Person | None:
        """None where there is no such user. Raises DatabaseUnavailable."""
        key = (user_id, session_id)
        answer = self._waiting.get(key)
        if answer is None:
            loop = asyncio.get_running_loop()
            answer = self._waiting[key] = loop.create_future()
            if self._running is None:
                self._running = loop.create_task(self._run())
        # Several may wait for one answer: who goes away must not take it from the others.
        return await asyncio.shield(answer)

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._max_batch]
                batch = {key: self._waiting.pop(key) for key in keys}
                try:
                    found = await self._source.identities(keys)
                except DatabaseUnavailable as error:
                    for answer in batch.values():
                        answer.set_exception(DatabaseUnavailable(*error.args))
                        answer.exception()  # Nobody may be left to ask for it.
                else:
                    for key, answer in batch.items():
                        answer.set_result(found.get(key))
        finally:
            self._running = None
