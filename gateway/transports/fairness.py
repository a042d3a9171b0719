"""How many frames of one connection are handled before other connections get their turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

T = TypeVar("T")

FAIR_FRAMES = 64
"""Frames of one connection that are handled without a pause; for a WebSocket sometimes up to twice as many."""


async def in_turns(frames: Sequence[T]) -> AsyncIterator[T]:
    """Yields the frames in order; after every FAIR_FRAMES, other connections get their turn."""
    for start in range(0, len(frames), FAIR_FRAMES):
        for frame in frames[start : start + FAIR_FRAMES]:
            yield frame
        if len(frames) - start >= FAIR_FRAMES:
            await asyncio.sleep(0)
