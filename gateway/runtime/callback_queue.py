"""Calls the callbacks of one channel one at a time, in order: the others wait in a queue.

A callback runs at once inside its caller. If it has to wait, a task finishes it (gateway/runtime/stepping.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from gateway.runtime.endpoint import Endpoint
from gateway.runtime.stepping import Suspended

Finish = Callable[[Any, Any, BaseException | None], None]
"""Called with the cause of a callback, its result, and the error that it raised."""


class QueueHost(Protocol):
    """The connection that the channel runs on."""

    endpoint: Endpoint
    backlog: int
    """Number of callbacks that wait in the queues of all its channels."""

    def resume(self) -> None:
        """Called when a callback that had to wait has ended."""


HostT = TypeVar("HostT", bound=QueueHost)


class CallbackQueue(Generic[HostT]):
    """A method that calls a callback sets `_busy`; if that is set, it queues itself. `_idle` follows the callback."""

    __slots__ = ("_busy", "_draining", "_inbox", "connection", "ended")

    def __init__(self, connection: HostT) -> None:
        self.connection = connection
        self.ended = False
        self._busy = False
        self._draining = False
        self._inbox: deque[tuple[Callable[[Any], None], Any]] | None = None

    @property
    def is_busy(self) -> bool:
        """True while a callback runs."""
        return self._busy and not self.ended

    def _queue(self, method: Callable[[Any], None], argument: Any) -> None:
        """Call `method` with the argument when all earlier callbacks have ended."""
        if self.ended:
            return
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append((method, argument))
        self.connection.backlog += 1

    def _queued(self) -> Iterable[tuple[Callable[[Any], None], Any]]:
        return self._inbox or ()

    def _run(self, coroutine: Coroutine[Any, Any, Any], finish: Finish, cause: Any) -> None:
        """Run a callback, and pass its result or error to `finish`, now or when it has ended."""
        try:
            result = self.connection.endpoint.step(coroutine)
        except (Exception, asyncio.CancelledError) as error:
            finish(cause, None, error)
            return
        if type(result) is Suspended:
            result.task.add_done_callback(partial(self._resume, finish, cause))
        else:
            finish(cause, result, None)

    def _resume(self, finish: Finish, cause: Any, task: asyncio.Task[Any]) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        finish(cause, None if error else task.result(), error)
        self.connection.resume()

    def _idle(self) -> None:
        self._busy = False
        if self._inbox:
            self._drain()

    def _drain(self) -> None:
        if self._draining:
            # A callback of the loop below has ended, and that loop calls the next one. If this call did, each callback
            # would run inside the one before, and a long inbox would exceed Python's recursion limit.
            return
        self._draining = True
        try:
            while self._inbox and not self._busy:
                method, argument = self._inbox.popleft()
                self.connection.backlog -= 1
                method(argument)
        finally:
            self._draining = False

    def _end_queue(self) -> None:
        """Call no more callbacks, and drop the waiting ones."""
        self.ended = True
        if self._inbox:
            self.connection.backlog -= len(self._inbox)
            self._inbox = None
