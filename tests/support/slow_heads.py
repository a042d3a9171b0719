"""A client that never finishes the head of its request."""

from __future__ import annotations

import asyncio

from tests.support.waiting import PATIENCE_SECONDS


async def is_closed_unanswered(port: int, said: bytes) -> bool:
    """Connect, say this and nothing more, and wait until the server closes; False if it answered something."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer == b""
