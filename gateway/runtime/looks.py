"""Looks again at what decides about a topic's members, once for all on this node, and tells each what was found.

What a look finds is at most as old as its cause: one that has begun is never joined, only the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from gateway.runtime.stepping import Suspended


class Looker(Protocol):
    """A running channel that wants to know."""

    topic: str

    def look(self) -> Coroutine[Any, Any, Any]:
        """The question; its answer is good for every member of the topic."""

    def looked(self, found: Any, error: BaseException | None) -> None:
        """What the look found, or raised. Must not raise."""


class Looks:
    """Of one node."""

    def __init__(self, step: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._step = step
        self._next: dict[str, list[Looker]] = {}
        """Who waits for a look that has not begun, by topic."""

    def want(self, looker: Looker) -> None:
        """`looked` will be called, after this has returned."""
        waiting = self._next.get(looker.topic)
        if waiting is None:
            self._next[looker.topic] = [looker]
            asyncio.get_running_loop().call_soon(self._begin, looker.topic)
        else:
            waiting.append(looker)

    def _begin(self, topic: str) -> None:
        lookers = self._next.pop(topic)
        try:
            found = self._step(lookers[0].look())
        except (Exception, asyncio.CancelledError) as error:
            _tell(lookers, None, error)
            return
        if type(found) is Suspended:
            found.task.add_done_callback(partial(_end, lookers))
        else:
            _tell(lookers, found, None)


def _end(lookers: list[Looker], task: asyncio.Task[Any]) -> None:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    _tell(lookers, None if error else task.result(), error)


def _tell(lookers: list[Looker], found: Any, error: BaseException | None) -> None:
    for looker in lookers:
        looker.looked(found, error)
