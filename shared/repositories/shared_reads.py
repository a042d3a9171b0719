"""Batches the reads of concurrent callers: under load one statement answers a hundred requests.

Each answer is read after its question was asked: a caller never joins a read that has begun, but the one after it. If
no read is under way, a new one begins at once, so an idle node delays nothing. This module does not know what is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from shared.postgres import DatabaseUnavailable

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SharedReads(Generic[Key, Value]):
    """`read` gets at most `most` distinct keys and returns values by key. If it raises, all its callers get the error.

    One read runs at a time. Keys that callers ask for in the meantime make the next one.
    """

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[dict[Key, Value]]], *, most: int) -> None:
        self._read = read
        self._most = most
        self._waiting: dict[Key, list[asyncio.Future[Value | None]]] = {}
        self._running: asyncio.Future[None] | None = None
        """Done when the current read and those that follow it are finished."""

    async def get(self, key: Key) -> Value | None:
        """Returns the value as it was between call and return; None if `read` returned none for the key."""
        loop = asyncio.get_running_loop()
        # Each caller has a future of its own: cancelling one caller must not cancel the answer of the others.
        answer: asyncio.Future[Value | None] = loop.create_future()
        self._waiting.setdefault(key, []).append(answer)
        if self._running is None:
            self._running = loop.create_task(self._run())
        return await answer

    async def get_now(self, key: Key) -> Value | None:
        """Like `get`, for frequent questions: if no read is under way, the caller itself reads, which saves a task.

        Callers in the same turn of the loop do not share that read. Cancelling the caller cancels the read.
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
        """Wait until all questions are answered."""
        while self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._most]
                await self._answer({key: self._waiting.pop(key) for key in keys})
        finally:
            # No await between the last check for waiting callers and this line, so no caller is left waiting.
            self._running = None

    async def _answer(self, asked: dict[Key, list[asyncio.Future[Value | None]]]) -> None:
        try:
            values = await self._read(list(asked))
        except asyncio.CancelledError:
            for answers in [*asked.values(), *self._waiting.values()]:
                for answer in answers:
                    answer.cancel()
            self._waiting.clear()
            raise
        except Exception as error:
            for answers in asked.values():
                for answer in answers:
                    if not answer.done():
                        is_away = isinstance(error, DatabaseUnavailable)
                        answer.set_exception(DatabaseUnavailable(*error.args) if is_away else error)
                        # The caller may be gone: retrieve the error, or asyncio would log that it was never retrieved.
                        answer.exception()
            return
        for key, answers in asked.items():
            value = values.get(key)
            for answer in answers:
                if not answer.done():
                    answer.set_result(value)
