"""Runs a coroutine at once, inside the caller, until it has to wait; only the rest becomes a task.

Most callbacks of a channel never wait, and for those a task would cost more than the callback itself.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Generator
from typing import Any, Final

if sys.version_info >= (3, 12):
    from asyncio.tasks import _swap_current_task
else:
    from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]

    def _swap_current_task(loop: asyncio.AbstractEventLoop, task: Any) -> Any:
        previous = _current_tasks.get(loop)
        if task is None:
            _current_tasks.pop(loop, None)
        else:
            _current_tasks[loop] = task
        return previous


class _InlineTask:
    """`asyncio.current_task()` returns this while a coroutine runs inside the caller.

    `asyncio.timeout`, `TaskGroup` and others keep it and call it later, from callbacks of the loop. By then the real
    task exists, and this object passes every call on to it. Without it they would keep the connection's own task.
    """

    __slots__ = ("__weakref__", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None

    def cancelling(self) -> int:
        return 0 if self.task is None else self.task.cancelling()

    def uncancel(self) -> int:
        return 0 if self.task is None else self.task.uncancel()

    def __getattr__(self, name: str) -> Any:
        if self.task is None:
            raise AttributeError(f"{name} of a coroutine that has not waited yet")
        return getattr(self.task, name)


class Suspended:
    """The coroutine has to wait; `task` finishes it."""

    __slots__ = ("task",)

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task


class Stepper:
    """Steps coroutines on one loop, from the thread of that loop."""

    __slots__ = ("_inline", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._inline = _InlineTask()

    def step(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Returns the coroutine's result, or `Suspended` if it has to wait. Raises what the coroutine raises."""
        inline = self._inline
        caller = _swap_current_task(self._loop, inline)
        try:
            awaited = coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        finally:
            _swap_current_task(self._loop, caller)
        # A function that the coroutine called may have kept the inline task: from now on it stands for the real task.
        inline.task = self._loop.create_task(_Resumable(coroutine, awaited))
        self._inline = _InlineTask()
        return Suspended(inline.task)


class _Resumable(Coroutine[Any, Any, Any]):
    """Lets a task drive a coroutine that already waits: the first `send` returns the future that it waits for.

    A task may be cancelled before its first turn, by a timeout that had already passed. The cancellation then reaches
    the coroutine and that future, as if the task had existed from the start.

    An awaited future is marked until a task takes it (`_asyncio_future_blocking`, see asyncio/futures.py). A marked
    future cannot be awaited again, so the mark is removed until the task's first turn.
    """

    __slots__ = ("_awaited", "_coroutine", "_is_handed_over")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited
        self._is_handed_over = False
        if asyncio.isfuture(awaited):
            awaited._asyncio_future_blocking = False

    def send(self, value: Any) -> Any:
        if self._is_handed_over:
            return self._coroutine.send(value)
        self._is_handed_over = True
        awaited, self._awaited = self._awaited, None
        if asyncio.isfuture(awaited):
            awaited._asyncio_future_blocking = True
        return awaited

    def throw(self, *error: Any) -> Any:
        if not self._is_handed_over:
            self._is_handed_over = True
            awaited, self._awaited = self._awaited, None
            if awaited is not None:
                awaited.cancel()
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("only a task drives it")
