"""A client that resets its connection at any moment is no error: the log has no line above `info` about it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.settings import Settings
from tests.gateway.transports.raw_socket import PING, frame
from tests.support.processes import CHECKOUT, Node, Processes, base_environment, environment_of
from tests.support.roles import as_owner
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMES = 20
ABOUT_SERVERS = ("shared.membership", "shared.pubsub.", "gateway.presence.")
"""Lines of these loggers are about Postgres and Redis, which are late on a busy machine, and not about clients."""


@dataclass
class Deployment:
    gateway: Node
    api: Node
    user_id: int
    token: str
    seen: dict[str, int]

    def new_lines(self) -> list[str]:
        """The lines above `info` that both processes have logged since the last call.

        The API tells the operator of failed log-ins in such lines: one of the clients vanishes while it tries one.
        """
        lines = []
        for node in (self.gateway, self.api):
            output = node.output()
            lines += output[self.seen.get(node.name, 0) :].splitlines()
            self.seen[node.name] = len(output)
        return [line for line in lines if not line.startswith("{") or _is_bad(json.loads(line))]


def _is_bad(line: dict[str, Any]) -> bool:
    is_about_servers = line["logger"].startswith(ABOUT_SERVERS)
    return line["level"] not in ("info", "debug") and line["event"] != "login_failed" and not is_about_servers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(deployment: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    processes = Processes(deployment, tmp_path_factory.mktemp("processes"))
    try:
        gateway, api = await processes.gateway(), await processes.api()
        owner = replace(deployment, database_url=as_owner(deployment.database_url))
        seed = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "api", "seed", "--users", "1", "--listings", "1"),
            cwd=CHECKOUT,
            env={**base_environment(), **environment_of(owner)},
        )
        assert await seed.wait() == 0
        token = Tokens(deployment.jwt_secrets, 3600).issue(1, Role.USER, None)
        deployed = Deployment(gateway, api, 1, token, {})
        yield deployed
    finally:
        await processes.stop()
    # A process that has ended by itself has handled everything. So what was logged late is seen here at the latest.
    assert deployed.new_lines() == []


class Vanishing:
    """A connection that ends with a reset."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.setblocking(False)

    async def send(self, data: bytes) -> None:
        with suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def read_until(self, end: bytes = b"\r\n\r\n") -> None:
        heard = b""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while end not in heard:
                piece = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
                assert piece, heard
                heard += piece

    def vanish(self) -> None:
        self._socket.close()


UPGRADE = (
    "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def connected(d: Deployment) -> Vanishing:
    client = Vanishing(d.gateway.port)
    await client.send(f"GET /socket/websocket?vsn=2.0.0&token={d.token} HTTP/1.1\r\n{UPGRADE}".encode())
    await client.read_until()
    join = ["1", "1", f"private_chat:{d.user_id}", "phx_join", {}]
    await client.send(frame(json.dumps(join).encode()))
    await client.read_until(b"phx_reply")
    return client


def push(d: Deployment, event: str, payload: object) -> bytes:
    return frame(json.dumps(["1", "2", f"private_chat:{d.user_id}", event, payload]).encode())


async def before_anything(d: Deployment) -> Vanishing:
    return Vanishing(d.gateway.port)


async def during_the_handshake(d: Deployment) -> Vanishing:
    client = Vanishing(d.gateway.port)
    await client.send(f"GET /socket/websocket?vsn=2.0.0&token={d.token} HTTP/1.1\r\n{UPGRADE}".encode())
    return client


async def in_half_a_head(d: Deployment) -> Vanishing:
    client = Vanishing(d.gateway.port)
    await client.send(f"GET /socket/websocket?vsn=2.0.0&token={d.token} HTTP/1.1\r\nHost:".encode())
    return client


async def after_3000_pings(d: Deployment) -> Vanishing:
    client = await connected(d)
    await client.send(frame(b"ping", PING) * 3000)
    return client


async def after_3000_heartbeats(d: Deployment) -> Vanishing:
    client = await connected(d)
    await client.send(frame(b'[null,"1","phoenix","heartbeat",{}]') * 3000)
    return client


async def in_the_middle_of_a_frame(d: Deployment) -> Vanishing:
    client = await connected(d)
    await client.send(push(d, "send", {"to": d.user_id, "message": "x" * 3000})[:2000])
    return client


async def after_a_fragment(d: Deployment) -> Vanishing:
    client = await connected(d)
    await client.send(frame(b"[", fin=False))
    return client


async def while_messages_are_sent_to_it(d: Deployment) -> Vanishing:
    client = await connected(d)
    await client.send(push(d, "send", {"to": d.user_id, "message": "x" * 3000}) * 50)
    return client


async def after_its_close_frame(d: Deployment) -> Vanishing:
    client = await connected(d)
    await client.send(push(d, "send", {"to": d.user_id, "message": "x" * 3000}) * 20 + frame(b"\x03\xe8", 8))
    return client


async def after_malformed_frames(d: Deployment) -> Vanishing:
    client = await connected(d)
    await client.send(frame(b"no frame") * 100)
    return client


async def during_a_poll(d: Deployment) -> Vanishing:
    client = Vanishing(d.gateway.port)
    await client.send(f"GET /socket/longpoll?vsn=2.0.0&token={d.token} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


async def posted(d: Deployment, head: str, body: bytes) -> Vanishing:
    params = {"vsn": "2.0.0", "token": d.token}
    async with aiohttp.ClientSession(d.gateway.url) as http, http.get("/socket/longpoll", params=params) as response:
        session = (await response.json())["token"]
    client = Vanishing(d.gateway.port)
    await client.send(f"POST /socket/longpoll?token={session} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + body)
    return client


async def in_the_body_of_a_post(d: Deployment) -> Vanishing:
    return await posted(d, "Content-Length: 1000", b"[")


async def in_a_chunk_of_a_post(d: Deployment) -> Vanishing:
    return await posted(d, "Transfer-Encoding: chunked", b"100\r\n[")


async def in_the_body_of_a_rest_request(d: Deployment) -> Vanishing:
    client = Vanishing(d.api.port)
    head = f"Host: x\r\nAuthorization: Bearer {d.token}\r\nContent-Type: application/json\r\nContent-Length: 1000"
    await client.send(f"POST /api/messages HTTP/1.1\r\n{head}\r\n\r\n{{".encode())
    return client


async def during_an_upload(d: Deployment) -> Vanishing:
    client = Vanishing(d.api.port)
    head = f"Host: x\r\nAuthorization: Bearer {d.token}\r\nContent-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n"
    await client.send(f"POST /api/listings/1/pictures HTTP/1.1\r\n{head}".encode() + b"\xff\xd8" + b"x" * 20_000)
    return client


async def while_the_api_answers(d: Deployment) -> Vanishing:
    client = Vanishing(d.api.port)
    await client.send(b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    return client


async def while_its_password_is_hashed(d: Deployment) -> Vanishing:
    client = Vanishing(d.api.port)
    body = b'{"email": "user1@example.com", "password": "wrong horse battery"}'
    head = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    await client.send(f"POST /api/login HTTP/1.1\r\n{head}".encode() + body)
    return client


WAYS = [
    before_anything, during_the_handshake, in_half_a_head, after_3000_pings, after_3000_heartbeats,
    in_the_middle_of_a_frame, after_a_fragment, while_messages_are_sent_to_it, after_its_close_frame,
    after_malformed_frames, during_a_poll, in_the_body_of_a_post, in_a_chunk_of_a_post, in_the_body_of_a_rest_request,
    during_an_upload, while_the_api_answers, while_its_password_is_hashed,
]  # fmt: skip


@pytest.mark.parametrize("start", WAYS, ids=[start.__name__ for start in WAYS])
async def test_a_vanishing_client_is_no_error(
    two: Deployment, start: Callable[[Deployment], Awaitable[Vanishing]]
) -> None:
    for turn in range(TIMES):
        client = await start(two)
        # Vanish immediately or up to 9 ms later.
        await asyncio.sleep(0.003 * (turn % 4))
        client.vanish()
    async with aiohttp.ClientSession() as http:
        for node in (two.gateway, two.api):
            async with http.get(node.url + "/health/ready") as response:
                assert response.status == 200
    assert two.new_lines() == []
