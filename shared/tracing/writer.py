"""Stores messages in batches as MessageWriter does, and keeps the traces of their senders apart."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from shared.domain.messages import Message, NewMessage
from shared.repositories.message_writer import MessageWriter
from shared.tracing import active
from shared.tracing.spans import Context


class TracedMessageWriter(MessageWriter):
    """A batch is written in a task of its own, for several senders."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._places: WeakKeyDictionary[asyncio.Future[Message], Context] = WeakKeyDictionary()

    def submit(self, new: NewMessage) -> asyncio.Future[Message]:
        answer = super().submit(new)
        tracing = active()
        if tracing is not None and (place := tracing.here()) is not None:
            self._places[answer] = place
        return answer

    async def _write(self, batch: list[tuple[NewMessage, asyncio.Future[Message]]]) -> None:
        tracing = active()
        if tracing is None:
            await super()._write(batch)
            return
        places = [self._places.pop(answer) for _, answer in batch if answer in self._places]
        with tracing.batch("store messages", places):
            await super()._write(batch)
