"""Requests that no application gets are answered in the words of the process, without the name of its library."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.processes import Node, Processes
from tests.support.waiting import PATIENCE_SECONDS

HEAD = b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
REFUSED = {
    "an unknown encoding": (HEAD + b"Content-Encoding: br\r\n\r\n{}", 415),
    "another unknown encoding": (HEAD + b"Content-Encoding: zstd\r\n\r\n{}", 415),
    "an unknown expectation": (HEAD + b"Expect: tea\r\n\r\n{}", 417),
    "an expectation at an unknown address": (b"GET /nothing HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n", 417),
    "a long address": (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 9000), 431),
    "a long query": (b"GET /?q=%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 9000), 431),
    "a long header": (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n" % (b"a" * 9000), 431),
    "many headers": (b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n" % (b"X: y\r\n" * 2000), 400),
    "no HTTP": (b"tea, please\r\n\r\n", 400),
    "another HTTP": (b"GET / HTTP/9.9\r\n\r\n", 400),
    "a wrong length": (b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: tea\r\n\r\n", 400),
}


async def said(node: Node, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers in small letters, and the body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    writer.write(request)
    async with asyncio.timeout(PATIENCE_SECONDS):
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    writer.close()
    return int(first.split(" ")[1]), headers, body


@pytest.mark.servers
async def test_what_no_application_gets_is_answered_in_the_words_of_the_process(processes: Processes) -> None:
    api, gateway = await asyncio.gather(processes.api(), processes.gateway())
    logged = api.output(), gateway.output()
    for what, (request, wanted) in REFUSED.items():
        status, headers, body = await said(api, request)
        assert status == wanted, what
        assert headers["content-type"] == "application/problem+json", what
        assert (headers["server"], headers["cache-control"]) == ("daveslist", "no-store"), what
        assert json.loads(body)["status"] == status, what
        status, headers, body = await said(gateway, request)
        assert status >= 400, what
        assert "aiohttp" not in headers.get("server", ""), what
    # Anybody can send such requests, as many as they like.
    assert (api.output(), gateway.output()) == logged
    # What is known still works.
    assert (await said(api, HEAD + b"Expect: 100-continue\r\n\r\n{}"))[0] == 100
