"""Reads that many wait for at the same time, done once: under load one statement answers a hundred requests.

Nobody gets an answer older than their question: a read that has begun is never joined, only the one after it. When
nothing waits, a read begins at once, so that idleness costs nothing. Knows nothing of what is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from shared.postgres import DatabaseUnavailable

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SharedReads(Generic[Key, Value]):
    """`read` is given distinct keys, at most `most`, and answers their values by key; what it raises, all get.

    One read runs at a time; the keys that are asked for meanwhile make the next one.
    """

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[dict[Key, Value]]], *, most: int) -> None:
        self._read = read
        self._most = most
        self._waiting: dict[Key, asyncio.Future[Value | None]] = {}
        self._running: asyncio.Future[None] | None = None
        """Done when the read that is under way, and those that follow it, are over."""

    async def get(self, key: Key) -> Value | None:
        """The value, as it is at some moment between the call and the return; None if the read answered none."""
        answer = self._waiting.get(key)
        if answer is None:
            loop = asyncio.get_running_loop()
            answer = self._waiting[key] = loop.create_future()
            if self._running is None:
                self._running = loop.create_task(self._run())
        # A caller that goes away takes nobody's answer with it.
        return await asyncio.shield(answer)

    async def get_now(self, key: Key) -> Value | None:
        """As `get`, for what every request asks: when nothing is being read, the caller reads, which spares a task.

        Callers of one turn of the loop do not share that read, and a caller that is cancelled cancels it.
        """
        if self._running is not None:
            return await self.get(key)
        loop = asyncio.get_running_loop()
        reading = self._running = loop.create_future()
        try:
            return (await self._read([key])).get(key)
        finally:
            self._running = loop.create_task(self._run()) if self._waiting else None
            reading.set_result(None)

    async def close(self) -> None:
        """Wait until everything that was asked for is answered."""
        while self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._most]
                await self._answer({key: self._waiting.pop(key) for key in keys})
        finally:
            # No await between the last look at who waits and this line: nobody can be left waiting.
            self._running = None

    async def _answer(self, asked: dict[Key, asyncio.Future[Value | None]]) -> None:
        try:
            values = await self._read(list(asked))
        except asyncio.CancelledError:
            for answer in [*asked.values(), *self._waiting.values()]:
                answer.cancel()
            self._waiting.clear()
            raise
        except Exception as error:
            for answer in asked.values():
                is_away = isinstance(error, DatabaseUnavailable)
                answer.set_exception(DatabaseUnavailable(*error.args) if is_away else error)
                # Whoever asked may have gone.
                answer.exception()
            return
        for key, answer in asked.items():
            answer.set_result(values.get(key))
