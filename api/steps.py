"""Runs the steps of work in the background, one after the other, for as long as the API serves.

A failure never ends the work: it is logged, and the next step comes after a pause, as after a step that found nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shared.logs import Log
from shared.postgres import DatabaseUnavailable

PAUSE_SECONDS = 1.0
"""After a failure, the next step comes after this long at least."""


async def keep_stepping(
    step: Callable[[], Awaitable[bool]],
    seconds: float,
    *,
    log: Log,
    failure: str,
    waits_first: bool = False,
    stopping: asyncio.Event | None = None,
    looked: asyncio.Event | None = None,
) -> None:
    """Run steps until `stopping` is set, or until the task is cancelled.

    A step returns whether there may be more to do at once; otherwise the next one comes after `seconds`. `failure` is
    what is logged of a step that failed. With `waits_first`, the first step comes after `seconds`. `looked` is set when
    all that there was has been looked at, or a step has failed.
    """
    stopping = stopping or asyncio.Event()
    if waits_first:
        await _is_set_within(stopping, seconds)
    while not stopping.is_set():
        pause = seconds
        try:
            if await step():
                pause = 0.0
        except DatabaseUnavailable as error:
            log.debug(failure, reason=str(error))
            pause = max(pause, PAUSE_SECONDS)
        except Exception:
            log.exception(failure)
            pause = max(pause, PAUSE_SECONDS)
        if looked is not None and pause:
            looked.set()
        if pause:
            await _is_set_within(stopping, pause)


async def _is_set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
