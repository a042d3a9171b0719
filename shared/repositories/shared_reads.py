"""Batches the reads of callers that come at the same time: under load one statement answers a hundred requests.

No answer is older than its question: a caller never joins a read that has begun, only the one after it. If no read is
under way, a new one begins at once, so nothing is delayed on an idle node. This module does not know what is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from shared.postgres import DatabaseUnavailable

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SharedReads(Generic[Key, Value]):
    """`read` gets at most `most` distinct keys and returns their values by key. If it raises, all its callers get that.

    One read runs at a time; the keys that callers ask for meanwhile make the next one.
    """

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[dict[Key, Value]]], *, most: int) -> None:
        self._read = read
        self._most = most
        self._waiting: dict[Key, asyncio.Future[Value | None]] = {}
        self._running: asyncio.Future[None] | None = None
        """Done when the read that is under way, and those that follow it, are over."""

    async def get(self, key: Key) -> Value | None:
        """The value, as it was at some moment between the call and the return; None if the read returned none."""
        answer = self._waiting.get(key)
        if answer is None:
            loop = asyncio.get_running_loop()
            answer = self._waiting[key] = loop.create_future()
            if self._running is None:
                self._running = loop.create_task(self._run())
        # A cancelled caller must not cancel the answer of the others.
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
        """Wait until every question is answered."""
        while self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._most]
                await self._answer({key: self._waiting.pop(key) for key in keys})
        finally:
            # There is no await between the last check for waiting callers and this line, so none is left waiting.
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
                # The caller may have gone: retrieve the error, or asyncio would log it as never retrieved.
                answer.exception()
            return
        for key, answer in asked.items():
            answer.set_result(values.get(key))
