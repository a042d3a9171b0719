"""A WebSocket client that sends any bytes, also malformed frames, and need not read."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import NamedTuple

from tests.support.waiting import PATIENCE_SECONDS

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Frame(NamedTuple):
    opcode: int
    payload: bytes


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """Encode a frame, valid or not. `rsv` has the three reserved bits."""
    first = (fin << 7) | (rsv << 4) | opcode
    size = len(payload)
    mask_bit = masked << 7
    if size < 126:
        head = bytes((first, mask_bit | size))
    elif size < 65536:
        head = bytes((first, mask_bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, mask_bit | 127)) + size.to_bytes(8, "big")
    # With a mask of zeros the payload stays as it is.
    return head + (b"\x00" * 4 if masked else b"") + payload


class RawSocket:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self.head = head
        """The server's answer to the upgrade."""

    @classmethod
    async def connect(
        cls, port: int, path: str, *, headers: tuple[str, ...] = (), receive_buffer: int = 0
    ) -> RawSocket:
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=receive_buffer or 2**16)
        lines = (
            f"GET {path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            *headers,
        )
        writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer, head)

    def send(self, *frames: bytes) -> None:
        """Send all frames in one write."""
        self._writer.write(b"".join(frames))

    def end_sending(self) -> None:
        """Send FIN behind what was sent."""
        self._writer.write_eof()

    async def read_head(self) -> bytes:
        """Read the head of an answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            self.head = await self._reader.readuntil(b"\r\n\r\n")
        return self.head

    async def read(self, size: int) -> bytes:
        """Read so many bytes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._reader.readexactly(size)

    async def receive(self) -> Frame:
        async with asyncio.timeout(PATIENCE_SECONDS):
            first, second = await self._reader.readexactly(2)
            assert first & 0xF0 == 0x80, "a server must send whole frames without reserved bits"
            assert second < 128, "a server must not mask its frames"
            size = second
            if size == 126:
                size = int.from_bytes(await self._reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self._reader.readexactly(8), "big")
            return Frame(first & 0x0F, await self._reader.readexactly(size))

    async def close_code(self) -> int:
        """Receive a close frame, and return its code."""
        opcode, payload = await self.receive()
        assert opcode == CLOSE, (opcode, payload[:200])
        return int.from_bytes(payload[:2], "big")

    async def end(self) -> bytes:
        """Return the bytes that still arrive until the server ends the connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self._reader.read(-1)
            except ConnectionError:
                return b""

    async def close(self) -> None:
        self._writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
