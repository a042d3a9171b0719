"""Clients that take for ever over a request, and hold a connection by it."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.processes import Processes


@pytest.mark.parametrize("sent", [b"", b"GET /socket/longpoll HTTP/1.1\r\nhost: x\r\nx-slow: "])
async def test_a_request_head_that_does_not_come_is_not_waited_for(processes: Processes, sent: bytes) -> None:
    node = await processes.gateway(KEEPALIVE_SECONDS="0.3")
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    writer.write(sent)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
