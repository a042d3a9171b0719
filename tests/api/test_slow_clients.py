"""Clients that hold a connection and say little, or nothing: they are let go, and harm nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.api.conftest import PASSWORD, Api
from tests.support.processes import Processes


@pytest.mark.parametrize("said", [b"", b"GET /health/live HT", b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_whoever_does_not_finish_the_head_of_a_request_is_let_go(processes: Processes, said: bytes) -> None:
    node = await processes.api(KEEPALIVE_SECONDS="0.3")
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    writer.write(said)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_does_not_come_is_given_up_and_the_connection_with_it(
    make_api: Callable[..., Awaitable[Api]],
) -> None:
    api = await make_api(body_seconds=0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.client.port)
    head = "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    writer.write(head.encode())
    async with asyncio.timeout(30):
        answer = await reader.readuntil(b"}")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"\r\nConnection: close\r\n" in answer
        assert b"/problems/too-slow" in answer
        writer.write_eof()
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    # Somebody else's log-in takes its usual way.
    body = {"email": "nobody@example.com", "password": PASSWORD}
    await api.call("POST", "/api/login", 401, json=body)
