"""Clients that open too many connections, or never finish a request: each is served, refused or closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.end_to_end.bad_clients.bystanders import nobody_else_is_harmed
from tests.end_to_end.bad_clients.gateway import Gateway
from tests.gateway.transports.raw_socket import RawSocket
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_each_of_two_thousand_connects_is_served_or_refused(gateway: Gateway) -> None:
    [(_, token)] = gateway.people(1)
    bad = token[:-4] + "AAAA"
    url = gateway.node.url + "/socket/websocket"

    async def connect(client: aiohttp.ClientSession, given: str) -> int:
        try:
            socket = await client.ws_connect(url, params={"vsn": "2.0.0", "token": given})
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status
        await socket.close()
        return 101

    async with nobody_else_is_harmed(gateway):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as client:
            given = [token if number % 2 else bad for number in range(2000)]
            statuses = await asyncio.gather(*(connect(client, one) for one in given))
        assert statuses[1::2] == [101] * 1000
        assert statuses[0::2] == [403] * 1000


async def test_more_connections_than_the_limit_are_refused_with_the_reason(gateway: Gateway) -> None:
    [(_, token)] = gateway.people(1)
    opened = []
    async with nobody_else_is_harmed(gateway):
        for _ in range(450):
            socket = await RawSocket.connect(gateway.node.port, f"/socket/websocket?vsn=2.0.0&token={token}")
            opened.append(socket)
        refused = [socket for socket in opened if not socket.head.startswith(b"HTTP/1.1 101")]
        assert 50 <= len(refused) <= 60
        assert all(socket.head.startswith(b"HTTP/1.1 503") and b"Retry-After" in socket.head for socket in refused)
        assert await refused[0].end() == b"too many connections\n"
        for socket in opened:
            await socket.close()
        await served_again(gateway, token)


async def served_again(gateway: Gateway, token: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            socket = await RawSocket.connect(gateway.node.port, f"/socket/websocket?vsn=2.0.0&token={token}")
            await socket.close()
            if socket.head.startswith(b"HTTP/1.1 101"):
                return


async def test_a_handshake_that_never_ends_is_closed(impatient_gateway: Gateway) -> None:
    """The node waits one second for a head that comes byte by byte or not at all."""
    gateway = impatient_gateway
    parts = [b"", b"GET /socket/websocket HTTP/1.1\r\n", b"GET /socket/websocket HTTP/1.1\r\nHost: x\r\nX-Slow: "]

    async def send_slowly(part: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.node.port)
        writer.write(part)
        drip = asyncio.create_task(send_bytes(writer))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await reader.read()
        except ConnectionError:
            pass
        finally:
            drip.cancel()
            await asyncio.gather(drip, return_exceptions=True)
            writer.transport.abort()

    async def send_bytes(writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(0.1)
            writer.write(b"x")

    async with nobody_else_is_harmed(gateway):
        await asyncio.gather(*(send_slowly(part) for part in parts * 60))


async def test_slow_long_polls_are_closed_and_a_users_newest_sessions_replace_old_ones(
    impatient_gateway: Gateway,
) -> None:
    gateway = impatient_gateway
    [(_, token)] = gateway.people(1)
    url = gateway.node.url + "/socket/longpoll"

    async def slow_body(client: aiohttp.ClientSession) -> int:
        async with client.get(url, params={"vsn": "2.0.0", "token": token}) as response:
            session = (await response.json())["token"]
        if session is None:
            return 410

        async def body() -> AsyncIterator[bytes]:
            while True:
                yield b"["
                await asyncio.sleep(0.2)

        try:
            async with client.post(url, params={"vsn": "2.0.0", "token": session}, data=body()) as response:
                status: int = (await response.json())["status"]
                return status
        except aiohttp.ClientError:
            return 408

    connections = await gateway.metric("connections")
    async with nobody_else_is_harmed(gateway):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            async with asyncio.timeout(PATIENCE_SECONDS):
                statuses = await asyncio.gather(*(slow_body(client) for _ in range(50)))
        assert set(statuses) <= {408, 410}
        # One user keeps at most ten sessions; the other two connections are Ann's and Bob's.
        assert await gateway.metric("connections") <= connections + 12
