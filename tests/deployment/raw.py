"""Connections to nginx on which a test writes whatever it likes, from any address of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.deployment.nginx import Nginx

PATIENCE_SECONDS = 20.0


@dataclass
class Raw:
    """A connection on which a test writes whatever it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, head: Sequence[str], body: bytes = b"") -> None:
        """Send the head of a request, and a beginning of its body. A server may refuse it at any moment."""
        self.writer.write("\r\n".join([*head, "Host: localhost", "", ""]).encode() + body)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.writer.drain()
        except ConnectionError:
            pass

    async def answer(self) -> bytes:
        """The first part of the answer, with its status and headers."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    @property
    def has_ended(self) -> bool:
        """The server has closed or reset the connection. It resets it if bytes arrive that it will not read."""
        return self.reader.at_eof() or self.reader.exception() is not None

    @property
    def is_answered(self) -> bool:
        return bool(self.reader._buffer) or self.reader.at_eof()  # type: ignore[attr-defined]


@asynccontextmanager
async def raw(nginx: Nginx, address: str) -> AsyncIterator[Raw]:
    """A connection from this address."""
    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port, local_addr=(address, 0))
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
