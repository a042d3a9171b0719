"""Looks up, once for all members of a topic on this node, who may stay, and tells each member.

A look-up never uses anything older than its cause: a member that asks during a look-up waits for the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from gateway.runtime.stepping import Suspended


class Looker(Protocol):
    """A running channel that asks for a look-up."""

    topic: str

    def look(self) -> Coroutine[Any, Any, Any]:
        """Look up what is needed; the result is valid for every member of the topic."""

    def looked(self, found: Any, error: BaseException | None) -> None:
        """Take the result or the error of the look-up. Must not raise."""


class Looks:
    """The look-ups of one node."""

    def __init__(self, step: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._step = step
        self._next: dict[str, list[Looker]] = {}
        """Topic -> the channels that wait for a look-up that has not begun."""

    def want(self, looker: Looker) -> None:
        """Request a call of `looked`, which comes after this method has returned."""
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
