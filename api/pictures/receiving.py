"""Takes the bytes of an upload that arrives in parts, and has them stored while they arrive.

Such an upload needs no place among the pictures that are processed until all of it is there, and little memory.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from api.pictures.errors import PicturesBusy, TooManyPictures
from shared.domain.uploads import LEAST_APPENDED, QUIET_SECONDS, STEP_BYTES, InconsistentLength

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from aiohttp import StreamReader

MAX_OF_ACCOUNT = 6
"""Parts of one account that arrive at a process at the same time. Some may be of connections that are lost already."""

CUT_OFF = (web.RequestPayloadError, ConnectionError, HttpProcessingError)
"""What aiohttp raises when the client is gone, or its body is no body."""


class Receiving:
    """Bounds how many parts arrive at this process at the same time, and so their memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._accounts: Counter[int] = Counter()

    @property
    def is_full(self) -> bool:
        """Whether there is no place for another."""
        return self._accounts.total() >= self._most

    @contextmanager
    def place(self, account: int) -> Iterator[None]:
        """Hold a place for one part. Raises PicturesBusy, or TooManyPictures if the account has its share."""
        if self.is_full:
            raise PicturesBusy("too many pictures are arriving")
        if self._accounts[account] >= MAX_OF_ACCOUNT:
            raise TooManyPictures("too many of your pictures are arriving")
        self._accounts[account] += 1
        try:
            yield
        finally:
            self._accounts[account] -= 1
            if not self._accounts[account]:
                del self._accounts[account]


async def receive(
    content: StreamReader,
    room: int,
    store: Callable[[bytes], Awaitable[None]],
    goes_on: AbstractAsyncContextManager[Callable[[int], None]],
) -> int:
    """Returns the number of bytes that arrived, after all of them are stored.

    If the client is gone, or stands still (`goes_on`), what has arrived is stored before the error is raised, unless
    these are fewer bytes than LEAST_APPENDED. It is also stored when nothing arrives for QUIET_SECONDS. Raises
    InconsistentLength if more than `room` bytes arrive; those that were stored by then stay.
    """
    piece, total = bytearray(), 0
    try:
        async with goes_on as count:
            while True:
                try:
                    async with asyncio.timeout(QUIET_SECONDS if len(piece) >= LEAST_APPENDED else None):
                        chunk = await content.readany()
                except TimeoutError:
                    await store(bytes(piece))
                    piece.clear()
                    continue
                if not chunk:
                    break
                count(len(chunk))
                total += len(chunk)
                if total > room:
                    raise InconsistentLength
                piece += chunk
                if len(piece) >= STEP_BYTES:
                    await store(bytes(piece))
                    piece.clear()
    except (TimeoutError, PicturesBusy, *CUT_OFF):
        if len(piece) >= LEAST_APPENDED:
            await store(bytes(piece))
        raise
    if piece:
        await store(bytes(piece))
    return total
