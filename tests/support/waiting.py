"""Waits for a condition that has no event of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Check a condition every millisecond until it holds; raises TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> bool:
    """Ask for a condition, with a pause between two questions, until it holds. Returns False after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        return False
    return True
