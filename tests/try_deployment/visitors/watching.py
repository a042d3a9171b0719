"""A visitor who asks for the same page again and again, and notes the times of the answers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import aiohttp

PAUSE_SECONDS = 0.02
CONNECT_SECONDS = 1.0
"""At most the second after which the system repeats a lost connection request."""
ANSWER_SECONDS = 10.0


class Watch:
    """Sends each request on a new connection, as a new visitor does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.answers: Counter[str] = Counter()
        self._longest = 0.0
        self._last_good = time.monotonic()
        self._task = asyncio.create_task(self._run())

    async def end(self) -> dict[str, Any]:
        """Stop. Returns the number of answers by status (`none`: no answer), and the longest time between good ones."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        longest = max(self._longest, time.monotonic() - self._last_good)
        return {"answers": dict(self.answers), "longest": longest}

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
            while True:
                try:
                    async with client.get(self._url) as response:
                        await response.read()
                        self._note(str(response.status))
                except (OSError, aiohttp.ClientError, TimeoutError):
                    self._note("none")
                await asyncio.sleep(PAUSE_SECONDS)

    def _note(self, answer: str) -> None:
        self.answers[answer] += 1
        if answer == "200":
            now = time.monotonic()
            self._longest = max(self._longest, now - self._last_good)
            self._last_good = now
