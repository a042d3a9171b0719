"""Waits for a condition that has no event of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


PATIENCE_SECONDS = 60.0
"""It ends a test that waits in vain, before pytest does. Nothing promises that what a test waits for comes so soon: a
busy machine gives a process a CPU only now and then."""


async def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Check a condition every millisecond until it holds; raises TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS) -> bool:
    """Ask for a condition, with a pause between two questions, until it holds. Returns False after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        return False
    return True
