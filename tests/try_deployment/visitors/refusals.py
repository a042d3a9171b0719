"""The requests that must be refused, and the answers to them."""

from __future__ import annotations

import asyncio
import itertools
import json
from io import BytesIO
from typing import Any

import aiohttp

from tests.try_deployment.visitors.crowd import APIS, GATEWAYS, NGINX, SOCKET, Crowd, browser, metric
from tests.try_deployment.visitors.visits import post_picture

METRICS = (
    "/metrics",
    "/metrics/",
    "//metrics",
    "/./metrics",
    "/%6detrics",
    "/metrics?a=b",
    "/api/../metrics",
    "/socket/../metrics",
    "/socket/..%2fmetrics",
    "/metrics/gateway",
)
TOO_MUCH = 12 * 1024**2


async def too_large(crowd: Crowd) -> dict[str, Any]:
    """A picture that nginx refuses, one that only the API refuses, and a body that is not a picture."""
    bob = crowd.people["Bob"]
    limit = crowd.settings.max_picture_bytes
    answers = []
    async with browser() as client:
        for size in (TOO_MUCH, limit + 1024):
            async with post_picture(client, crowd, bob, NGINX, bytes(size)) as response:
                answers.append((response.status, await _problem(response)))
        headers = {"Authorization": f"Bearer {bob.token}", "Content-Type": "application/json"}
        body = BytesIO(json.dumps({"title": "x" * 2 * crowd.settings.max_body_bytes}).encode())
        async with client.post(f"{NGINX}/api/listings", data=body, headers=headers) as response:
            answers.append((response.status, await _problem(response)))
    assert {status for status, _ in answers} == {413}, answers
    return {"answers": len(answers)}


async def _problem(response: aiohttp.ClientResponse) -> str:
    assert response.content_type == "application/problem+json", (response.status, response.content_type)
    return str((await response.json(content_type=None))["type"])


async def metrics_are_refused(crowd: Crowd) -> dict[str, Any]:
    """Each spelling is sent byte for byte: a client library would normalise it."""
    for path in METRICS:
        reader, writer = await asyncio.open_connection("nginx", 8080)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: nginx:8080\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answer.startswith(b"HTTP/1.1 404 "), f"{path}: {answer[:60]!r}"
        assert b"# HELP" not in answer, path
    inside = [await metric(url, "process_open_fds") for url in (*GATEWAYS, *APIS)]
    return {"spellings": len(METRICS), "inside": len(inside)}


async def foreign_origin(crowd: Crowd) -> dict[str, Any]:
    """A page of another site gets no socket and no poll; the deployment's own page gets both."""
    ann = crowd.people["Ann"]
    query = {"token": ann.token, "vsn": "2.0.0"}
    own, other = NGINX, "https://elsewhere.example"
    async with browser() as client:
        async with client.ws_connect(SOCKET, params=query, origin=own) as socket:
            assert not socket.closed
        try:
            async with client.ws_connect(SOCKET, params=query, origin=other):
                raise AssertionError("another site's page got a socket")
        except aiohttp.WSServerHandshakeError as refused:
            status = refused.status
        poll = f"{NGINX}/socket/longpoll"
        async with client.get(poll, params=query, headers={"Origin": other}) as response:
            polled = (response.status, await response.text())
    assert status == 403, status
    assert polled[0] == 403 or json.loads(polled[1])["status"] == 403, polled
    return {"status": status}


async def told_apart(crowd: Crowd, one: str, other: str) -> dict[str, Any]:
    """After too many registrations from one address, that address is refused and the other is not."""
    refused = crowd.settings.registrations_per_minute
    async with browser() as client:

        async def register(url: str, number: int) -> int:
            # The request is counted, and then refused because fields are missing.
            async with client.post(f"{url}/api/register", json={"email": f"nobody{number}@example.com"}) as response:
                return response.status

        answers = []
        for number in itertools.count():
            answers.append(await register(one, number))
            if answers[-1] == 429 or number > refused + 5:
                break
        there = await register(other, 0)
    assert answers[-1] == 429, answers
    assert there != 429, "both addresses are counted as one"
    return {"before_refused": len(answers) - 1}
