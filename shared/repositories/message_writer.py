"""Stores messages in batches: while one batch is being written, the next one collects.

A statement for a hundred messages costs little more than a statement for one. No message is delayed: if no batch is
being written, a message starts one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol, Self

from shared.domain.messages import Message, MessageRefused, NewMessage
from shared.postgres import DatabaseUnavailable
from shared.settings import Settings

_PAUSE_SECONDS = 0.1
"""After a failed batch, new sends fail at once for this long. Otherwise a sender of many messages would wait one
timeout for each of them."""


class Inserter(Protocol):
    """The part of `MessageInserts` that the writer needs."""

    stored: int

    async def insert_many(self, batch: Sequence[NewMessage]) -> list[Message | MessageRefused]: ...


class MessageWriter:
    """Each process has one. Messages of a sender that wait together are stored in the order of the `send` calls."""

    def __init__(
        self,
        inserts: Inserter,
        *,
        max_batch: int,
        max_waiting: int,
        max_seconds: float = 10.0,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        """`max_seconds` limits the writing of one batch, including the wait for connections."""
        self._inserts = inserts
        self._max_seconds = max_seconds
        self._pause_seconds = pause_seconds
        self._paused_until = 0.0
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[NewMessage, asyncio.Future[Message]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    @classmethod
    def from_settings(cls, inserts: Inserter, settings: Settings) -> Self:
        """Returns a writer with the limits of the settings."""
        return cls(
            inserts,
            max_batch=settings.max_message_batch,
            max_waiting=settings.max_waiting_messages,
            max_seconds=2 * settings.database_timeout_seconds,
        )

    @property
    def waiting(self) -> int:
        """Number of messages that wait for a batch."""
        return len(self._waiting)

    @property
    def stored(self) -> int:
        """Number of messages that this process has stored, also of those with pictures, which are in no batch."""
        return self._inserts.stored

    async def send(self, new: NewMessage) -> Message:
        """Returns the message when it is committed. Cancelling the caller does not withdraw the message.

        Raises MessageRefused (UnknownRecipient, Blocked, InvalidMessage) or DatabaseUnavailable. After the latter the
        message may still have been stored: repeat the send with the same `client_ref`.
        """
        return await self.submit(new)

    def submit(self, new: NewMessage) -> asyncio.Future[Message]:
        """Like `send`, as a future for callers without a task. Raises DatabaseUnavailable at once if too many wait."""
        if len(self._waiting) >= self._max_waiting:
            raise DatabaseUnavailable("too many messages are waiting to be written")
        loop = asyncio.get_running_loop()
        if self._paused_until:
            if loop.time() < self._paused_until:
                raise DatabaseUnavailable("the last messages could not be written")
            self._paused_until = 0.0
        answer: asyncio.Future[Message] = loop.create_future()
        self._waiting.append((new, answer))
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())
        return answer

    async def close(self) -> None:
        """Wait until all submitted messages are answered."""
        while self._writing is not None:
            await asyncio.wait([self._writing])

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), self._max_batch)
                await self._write([self._waiting.popleft() for _ in range(count)])
        finally:
            # No await between the last check of the queue and this line, so no message is left waiting.
            self._writing = None

    async def _write(self, batch: list[tuple[NewMessage, asyncio.Future[Message]]]) -> None:
        try:
            async with asyncio.timeout(self._max_seconds):
                answers: Sequence[Message | Exception] = await self._inserts.insert_many([new for new, _ in batch])
        except (DatabaseUnavailable, TimeoutError) as error:
            # Fail the waiting messages too. Otherwise the last would wait for one failing batch after the other.
            batch = [*batch, *self._waiting]
            self._waiting.clear()
            self._paused_until = asyncio.get_running_loop().time() + self._pause_seconds
            answers = [DatabaseUnavailable(*error.args or ("not written in time",)) for _ in batch]
        except Exception as error:
            answers = [error] * len(batch)
        except asyncio.CancelledError:
            for _, answer in [*batch, *self._waiting]:
                answer.cancel()
            self._waiting.clear()
            raise
        for (_, waiter), result in zip(batch, answers, strict=True):
            if waiter.done():
                continue
            if isinstance(result, Message):
                waiter.set_result(result)
            else:
                waiter.set_exception(result)
