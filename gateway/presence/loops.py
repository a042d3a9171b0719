"""Runs presence's loops until they are stopped: restarts a loop that raised, waits while the store is unreachable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from gateway.presence.store import StoreUnavailable
from shared.logs import log_of

log = log_of(__name__)

Loop = Callable[[], Coroutine[Any, Any, None]]


class _Stopped(Exception):
    """Ends a loop that waits for the store while the tracker stops."""


class Loops:
    """A loop runs until `stopping`, waits for work on a `signal`, and calls `pause` while the store is away."""

    def __init__(self, patience_seconds: float) -> None:
        """`pause` lasts `patience_seconds`, or until `retry_now`."""
        self._patience_seconds = patience_seconds
        self._signals: list[asyncio.Event] = []
        self._retry = self.signal()
        self.stopping = False
        self.tasks: list[asyncio.Task[None]] = []

    def signal(self) -> asyncio.Event:
        """Returns an event for a loop to wait on. `stop` also sets it, so that the loop ends."""
        event = asyncio.Event()
        self._signals.append(event)
        return event

    def start(self, loops: Iterable[Loop]) -> None:
        """Run each loop in a task."""
        self.tasks = [asyncio.create_task(self._keep_up(loop), name=f"presence_{loop.__name__}") for loop in loops]

    async def stop(self, timeout_seconds: float) -> bool:
        """Let the loops finish their work, and cancel late ones. Returns True if they ran and all finished in time."""
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
        """Wait before the next try. While the loops are stopping, end the calling loop instead."""
        log.info("presence waits for its store", doing=doing, error=str(error))
        if self.stopping:
            raise _Stopped
        self._retry.clear()
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._retry.wait()
        except TimeoutError:
            pass

    def retry_now(self) -> None:
        """End the current pauses."""
        self._retry.set()

    async def _keep_up(self, loop: Loop) -> None:
        """Restart the loop when it raises: a fault in one round must not end presence on this node."""
        while not self.stopping:
            try:
                await loop()
            except _Stopped:
                return
            except Exception:
                log.exception("presence loop failed", loop=loop.__name__)
                await asyncio.sleep(self._patience_seconds)
