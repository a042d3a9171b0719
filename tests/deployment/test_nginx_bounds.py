"""A request that a stranger never finishes costs nginx a bounded amount of memory, and nobody else waits for it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from io import BytesIO

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from tests.deployment.conftest import Deployment
from tests.deployment.nginx import Nginx, find_nginx, running_nginx
from tests.deployment.raw import PATIENCE_SECONDS, Raw, raw
from tests.deployment.test_nginx import browser_at, listing
from tests.support.client import Rest

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONNECTIONS = 25
PICTURE_BYTES = 10 * 1024**2
SMALL_BODY_BYTES = 1280 * 1024
"""A little more than the largest body of a route that takes no picture."""
PICTURES_AN_ADDRESS = 10
BURST = 150
AT_ONCE = 50
RATE = 200.0
"""Requests of one address that go on at once, and the rate of all further ones in requests a second (nginx.conf)."""


async def bystander_is_served(nginx: Nginx) -> None:
    async with browser_at("127.0.0.9") as client, asyncio.timeout(PATIENCE_SECONDS):
        async with client.get(f"{nginx.url}/api/listings") as response:
            assert response.status == 200
        async with client.post(f"{nginx.url}/api/login", json={"email": "a@example.com", "password": "x"}) as response:
            assert response.status != 429
            assert response.status < 500


@pytest.mark.parametrize("path", ["/api/login", "/api/listings", "/", "/socket/longpoll", "/api/listings/1/replies"])
async def test_a_body_as_long_as_a_picture_is_refused_before_it_arrives_elsewhere(
    deployment: Deployment, path: str
) -> None:
    async with raw(deployment.nginx, "127.0.0.5") as connection:
        await connection.send([f"POST {path} HTTP/1.1", f"Content-Length: {PICTURE_BYTES}"])
        assert (await connection.answer()).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/api/login", "/socket/longpoll"])
@pytest.mark.parametrize("length", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
async def test_bodies_that_never_end_cost_a_bounded_number_of_bytes(
    deployment: Deployment, path: str, length: str
) -> None:
    nginx = deployment.nginx
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(raw(nginx, "127.0.0.5")) for _ in range(CONNECTIONS)]
        chunk = bytes(900_000)
        body = b"dbba0\r\n" + chunk + b"\r\n" if "chunked" in length else chunk
        body *= 3 if "chunked" in length else 1
        await asyncio.gather(*(connection.send([f"POST {path} HTTP/1.1", length], body) for connection in connections))
        await bystander_is_served(nginx)
        assert nginx.bytes_in_files() <= CONNECTIONS * SMALL_BODY_BYTES


async def test_pictures_that_never_end_are_not_kept_and_one_address_sends_only_a_few(deployment: Deployment) -> None:
    nginx = deployment.nginx
    async with Rest(nginx.url) as rest:
        ann = await rest.register("Ann")
        listing_id = await listing(deployment, rest, ann)
    head = [
        f"POST /api/listings/{listing_id}/pictures HTTP/1.1",
        f"Authorization: Bearer {ann.token}",
        "Content-Type: multipart/form-data; boundary=x",
        f"Content-Length: {PICTURE_BYTES}",
    ]
    body = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n' + bytes(1024**2)
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(raw(nginx, "127.0.0.5")) for _ in range(CONNECTIONS)]
        await asyncio.gather(*(connection.send(head, body) for connection in connections))
        await bystander_is_served(nginx)
        refused: list[Raw] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(refused) < CONNECTIONS - PICTURES_AN_ADDRESS:
                await asyncio.sleep(0.05)
                refused = [connection for connection in connections if connection.is_answered]
        answers = [await connection.answer() for connection in refused]
        assert sum(answer.startswith(b"HTTP/1.1 429 ") for answer in answers) >= CONNECTIONS - PICTURES_AN_ADDRESS
        assert all(b"application/problem+json" in answer and b"\r\nRetry-After: " in answer for answer in answers)
        assert nginx.bytes_in_files() == 0


async def test_one_address_has_a_bounded_number_of_requests_under_way(deployment: Deployment) -> None:
    nginx = deployment.nginx
    head = ["POST /api/login HTTP/1.1", "Content-Type: application/json", "Content-Length: 100"]
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(raw(nginx, "127.0.0.5")) for _ in range(201)]
        for connection in connections[:-1]:
            await connection.send(head, b"{")
        await bystander_is_served(nginx)
        last = connections[-1]
        await last.send(["GET /api/listings HTTP/1.1"])
        answer = await last.answer()
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"application/problem+json" in answer
        assert not any(connection.is_answered for connection in connections[:-1])


async def test_a_burst_of_one_address_reaches_the_apis_at_a_bounded_rate(deployment: Deployment) -> None:
    loop = asyncio.get_running_loop()
    answered: list[float] = []
    async with browser_at("127.0.0.5") as client, asyncio.timeout(PATIENCE_SECONDS):

        async def ask() -> None:
            async with client.get(f"{deployment.nginx.url}/health/live") as response:
                assert response.status == 200
            answered.append(loop.time())

        started = loop.time()
        await asyncio.gather(*(ask() for _ in range(BURST)))
    # nginx counts in steps of its own clock, so ten more are allowed.
    waited = [number for number, at in enumerate(answered, 1) if number > AT_ONCE + RATE * (at - started) + 10]
    assert not waited, "answered earlier than the rate allows"


@pytest.mark.servers
@pytest.mark.parametrize(
    ("path", "upgrade", "handed_on"),
    [
        ("/socket/websocket?vsn=2.0.0", "websocket", "websocket"),
        ("/socket/websocket", "WebSocket", "websocket"),
        ("/socket/websocket/?vsn=2.0.0", "websocket", "websocket"),
        ("/socket/websocket", "foo, websocket", "websocket"),
        ("/socket/websocket/", "h2c,websocket, foo/2", "websocket"),
        ("/socket/websocket", "nowebsocket", ""),
        ("/socket/websocket", "foo websocket", ""),
        ("/socket/websocket/more", "websocket", ""),
        ("/socket/websocket", "h2c", ""),
        ("/socket/longpoll", "websocket", ""),
        ("/api/listings", "websocket", ""),
        ("/", "h2c", ""),
    ],
)
async def test_only_the_socket_can_ask_for_another_protocol(path: str, upgrade: str, handed_on: str) -> None:
    program = find_nginx()
    if program is None:
        pytest.skip("no nginx on this machine")
    asked: list[web.BaseRequest] = []

    async def record(request: web.BaseRequest) -> web.Response:
        asked.append(request)
        return web.Response(status=204)

    async with RawTestServer(record) as server:
        ports = dict.fromkeys(["gateway-1:4000", "gateway-2:4000", "api-1:4001", "api-2:4001"], server.port or 0)
        async with running_nginx(program, ports) as nginx, raw(nginx, "127.0.0.5") as connection:
            await connection.send([f"GET {path} HTTP/1.1", "Connection: Upgrade", f"Upgrade: {upgrade}"])
            await connection.answer()
    assert asked[-1].headers.get("Upgrade", "") == handed_on
    assert asked[-1].headers["Connection"].lower() == ("upgrade" if handed_on else "close")


async def test_a_refused_upload_is_answered_although_its_body_is_still_on_its_way(deployment: Deployment) -> None:
    async with aiohttp.ClientSession() as client:
        url = f"{deployment.nginx.url}/api/listings/1/pictures"
        form = aiohttp.FormData()
        form.add_field("picture", BytesIO(bytes(PICTURE_BYTES)), filename="car.jpg", content_type="image/jpeg")
        async with client.post(url, data=form) as response:
            assert response.status == 401
