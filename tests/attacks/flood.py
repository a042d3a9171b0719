"""WebSockets that send frames made beforehand, and only count what they get, so that an attacker needs little CPU."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.gateway.transports.raw_socket import frame
from tests.support.waiting import until

OPEN_SECONDS = 30.0
AT_ONCE = 50
"""Sockets that are opened at the same time."""


class Refused(Exception):
    """The socket was not opened. `status` is that of the answer; 0 if there was none."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Flood(asyncio.Protocol):
    """One socket. `found` counts how often `counted` has arrived."""

    def __init__(self, counted: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.received = 0
        """Bytes after the answer to the upgrade."""
        self.found = 0
        self.has_ended = False
        self._counted = counted
        self._head: bytes | None = b""
        self._rest = b""
        self._status: asyncio.Future[int] = loop.create_future()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._transport: asyncio.Transport

    @classmethod
    async def connect(cls, port: int, token: str, address: str, counted: bytes = b"phx_reply") -> Flood:
        """Open a socket from an address. Raises Refused."""
        loop = asyncio.get_running_loop()
        flood: Flood
        async with asyncio.timeout(OPEN_SECONDS):
            _, flood = await loop.create_connection(lambda: cls(counted), "127.0.0.1", port, local_addr=(address, 0))
            flood._transport.write(
                f"GET /socket/websocket?vsn=2.0.0&token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            status = await flood._status
        if status != 101:
            flood.abort()
            raise Refused(status)
        return flood

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            head, end, data = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                self._head = head
                return
            self._head = None
            self._status.set_result(int(head[9:12]))
        self.received += len(data)
        data = self._rest + data
        self.found += data.count(self._counted)
        self._rest = data[-(len(self._counted) - 1) :]

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.has_ended = True
        self._may_write.set()
        if not self._status.done():
            self._status.set_result(0)

    def count(self, counted: bytes) -> None:
        """Count this from now on."""
        self._counted, self._rest, self.found = counted, b"", 0

    async def send(self, *frames: bytes) -> None:
        """Send frames, and wait as long as the server does not read."""
        if not self.has_ended:
            self._transport.write(b"".join(frames))
            await self._may_write.wait()

    def abort(self) -> None:
        self._transport.abort()


class Line(asyncio.Protocol):
    """A connection on which anything is written, and of which only the status of an answer is read."""

    def __init__(self) -> None:
        self.has_ended = False
        self._received = b""
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport

    @classmethod
    @asynccontextmanager
    async def connected(cls, port: int, address: str) -> AsyncIterator[Line]:
        """Connect from an address."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(OPEN_SECONDS):
            _, line = await loop.create_connection(cls, "127.0.0.1", port, local_addr=(address, 0))
        try:
            yield line
        finally:
            line._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received = (self._received + data)[:12]

    def connection_lost(self, error: Exception | None) -> None:
        self.has_ended = True
        self._over.set_result(None)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def answer(self) -> str:
        """Wait for the end of the connection. Returns the status; "cut off" if there was none."""
        await self._over
        return self._received[9:].decode() or "cut off"


def message(join_ref: str | None, ref: str, topic: str, event: str, payload: object) -> bytes:
    """A message as a frame."""
    return frame(json.dumps([join_ref, ref, topic, event, payload]).encode())


@asynccontextmanager
async def joined(
    count: int, port: int, token: str, address: str, topics: Sequence[str], counted: bytes = b"phx_reply"
) -> AsyncIterator[list[Flood]]:
    """Sockets that have all joined these topics."""
    joins = [message(topic, topic, topic, "phx_join", {}) for topic in topics]
    limit = asyncio.Semaphore(AT_ONCE)
    opened: list[Flood] = []

    async def open_one() -> None:
        async with limit:
            flood = await Flood.connect(port, token, address)
            opened.append(flood)
            await flood.send(*joins)

    try:
        await asyncio.gather(*(open_one() for _ in range(count)))
        await until(lambda: all(flood.found >= len(topics) for flood in opened), OPEN_SECONDS)
        for flood in opened:
            flood.count(counted)
        yield opened
    finally:
        for flood in opened:
            flood.abort()
