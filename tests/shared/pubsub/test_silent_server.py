"""A Redis that no longer answers is noticed while messages are being written to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.pubsub.redis import RedisBroker
from shared.settings import Settings

SOON = 20.0


class SilentServer:
    """Speaks enough RESP3 for a client to connect, and stops reading at the first PUBLISH."""

    def __init__(self) -> None:
        self.url = ""
        self.served: list[asyncio.Task[None]] = []
        self.came_back = asyncio.Event()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served.append(asyncio.create_task(self._serve(reader, writer)))
        if len(self.served) == 2:
            self.came_back.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (command := await self._command(reader)) != b"PUBLISH":
                writer.write(b"%1\r\n$5\r\nproto\r\n:3\r\n" if command == b"HELLO" else b"+OK\r\n")
            await asyncio.Event().wait()
        finally:
            writer.transport.abort()

    @staticmethod
    async def _command(reader: asyncio.StreamReader) -> bytes:
        count = int((await reader.readline())[1:])
        parts = [await reader.readexactly(int((await reader.readline())[1:]) + 2) for _ in range(count)]
        return parts[0].removesuffix(b"\r\n")


@pytest.fixture
async def silent_server() -> AsyncIterator[SilentServer]:
    server = SilentServer()
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.url = f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield server
    listening.close()
    for task in server.served:
        task.cancel()
    await asyncio.gather(*server.served, return_exceptions=True)
    await listening.wait_closed()


async def test_the_broker_reconnects_when_redis_stops_reading(silent_server: SilentServer) -> None:
    broker = RedisBroker(Settings(redis_url=silent_server.url, redis_timeout_seconds=1.0))
    await broker.start(None)
    try:
        # This is more than the kernel buffers for a reader that does not read.
        for _ in range(100):
            broker.publish("room:1", b"x" * 200_000)
        await asyncio.wait_for(silent_server.came_back.wait(), SOON)
    finally:
        await broker.stop()
