"""Clients that send too slowly or nothing at all: their connections are closed, and other clients are not affected."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.conftest import PASSWORD, MakeApi
from tests.support.processes import Processes
from tests.support.slow_heads import is_closed_unanswered
from tests.support.waiting import PATIENCE_SECONDS


@pytest.mark.parametrize("said", [b"", b"GET /health/live HT", b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_connection_without_a_complete_request_head_is_closed(processes: Processes, said: bytes) -> None:
    node = await processes.api(KEEPALIVE_SECONDS="0.3")
    assert await is_closed_unanswered(node.port, said)


async def test_a_body_that_does_not_arrive_is_refused_and_closes_the_connection(
    make_api: MakeApi,
) -> None:
    api = await make_api(body_seconds=0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.client.port)
    head = "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    writer.write(head.encode())
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await reader.readuntil(b"}")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"\r\nConnection: close\r\n" in answer
        assert b"/problems/too-slow" in answer
        writer.write_eof()
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    # Other clients are still served.
    body = {"email": "nobody@example.com", "password": PASSWORD}
    await api.call("POST", "/api/login", 401, json=body)
