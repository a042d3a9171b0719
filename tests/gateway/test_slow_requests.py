"""A client that never finishes its request cannot hold a connection for ever."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.processes import Processes


@pytest.mark.parametrize("sent", [b"", b"GET /socket/longpoll HTTP/1.1\r\nhost: x\r\nx-slow: "])
async def test_a_connection_without_a_complete_request_head_is_closed(processes: Processes, sent: bytes) -> None:
    node = await processes.gateway(KEEPALIVE_SECONDS="0.3")
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    writer.write(sent)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
