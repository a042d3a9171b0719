"""Runs the loops of a node's presence until it is stopped, through mistakes of ours and a store that is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from gateway.presence.store import StoreUnavailable

logger = logging.getLogger(__name__)

Loop = Callable[[], Coroutine[Any, Any, None]]


class _Stopped(Exception):
    """The tracker ends while its store is away."""


class Loops:
    """A loop runs on while not `stopping`, waits for its work on a `signal`, and for an absent store in `pause`."""

    def __init__(self, patience_seconds: float) -> None:
        """A store that is away is tried again after so long, or when `retry_now` is called."""
        self._patience_seconds = patience_seconds
        self._signals: list[asyncio.Event] = []
        self._retry = self.signal()
        self.stopping = False
        self.tasks: list[asyncio.Task[None]] = []

    def signal(self) -> asyncio.Event:
        """An event that `stop` sets as well, so that no loop sleeps through its end."""
        event = asyncio.Event()
        self._signals.append(event)
        return event

    def start(self, loops: Iterable[Loop]) -> None:
        self.tasks = [asyncio.create_task(self._keep_up(loop), name=f"presence_{loop.__name__}") for loop in loops]

    async def stop(self, timeout_seconds: float) -> bool:
        """Let the loops finish what is under way; whether they were running, and did so in time."""
        self.stopping = True
        for event in self._signals:
            event.set()
        if not self.tasks:
            return False
        _, late = await asyncio.wait(self.tasks, timeout=timeout_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []
        return not late

    async def pause(self, doing: str, error: StoreUnavailable) -> None:
        """Wait until the store is worth another try. Ends the loop that calls it where all are to end."""
        logger.info("presence waits for its store", extra={"fields": {"doing": doing, "error": str(error)}})
        if self.stopping:
            raise _Stopped
        self._retry.clear()
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._retry.wait()
        except TimeoutError:
            pass

    def retry_now(self) -> None:
        self._retry.set()

    async def _keep_up(self, loop: Loop) -> None:
        """A mistake of ours in one round costs that round, not all presence from then on."""
        while not self.stopping:
            try:
                await loop()
            except _Stopped:
                return
            except Exception:
                logger.exception("presence loop failed", extra={"fields": {"loop": loop.__name__}})
                await asyncio.sleep(self._patience_seconds)
