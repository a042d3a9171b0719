"""A server that goes silent is noticed, whatever is being written to it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.pubsub.redis import RedisBroker
from shared.settings import Settings

SOON = 10.0


class Silent:
    """Speaks as much RESP3 as a client needs to connect, and from the first PUBLISH on does not even read."""

    def __init__(self) -> None:
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while line := await reader.readline():
            command = b""
            for _ in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                part = (await reader.readexactly(size + 2))[:-2]
                command = command or part
            if command == b"PUBLISH":
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.Event().wait()
            writer.write(b"%1\r\n$5\r\nproto\r\n:3\r\n" if command == b"HELLO" else b"+OK\r\n")


@pytest.fixture
async def silent() -> AsyncIterator[tuple[Silent, str]]:
    one = Silent()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    yield one, "redis://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    server.close()


async def test_a_server_that_reads_no_more_is_given_up_however_much_waits_for_it(silent: tuple[Silent, str]) -> None:
    server, url = silent
    broker = RedisBroker(Settings(redis_url=url, redis_timeout_seconds=0.3), "node")
    await broker.start(None)
    assert broker.connected
    # More than the kernel takes for a reader that does not read.
    for _ in range(100):
        broker.publish("room:1", b"x" * 200_000)
    async with asyncio.timeout(SOON):
        while server.connections < 2:
            await asyncio.sleep(0.01)
    print(server.connections)
    await broker.stop()
