"""Starts servers with the lab's channels in this process, and clients for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import aiohttp
import pytest
import uvloop

from shared.access.admission import Admit
from shared.pubsub.memory import MemoryBroker, MemoryHub
from shared.settings import Settings
from tests.gateway.transports.raw_socket import RawSocket
from tests.lab.server import LabNode, start_lab_node
from tests.lab.tokens import token_of
from tests.support.secret import JWT_SECRET
from tests.support.waiting import until

SECRET = JWT_SECRET


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Use the product's loop, uvloop: on a write to a closed connection it raises, where asyncio only warns."""
    return {"uvloop": uvloop.new_event_loop}


class LabServer:
    """One node with its address and its endpoint. It opens clients, and closes the raw ones after the test."""

    def __init__(self, node: LabNode, client: aiohttp.ClientSession) -> None:
        self.endpoint = node.endpoint
        self.port = node.port
        # aiohttp opens WebSockets at this URL as well.
        self.url = f"{node.url}/socket/websocket"
        self._node = node
        self._client = client
        self._raw: list[RawSocket] = []

    async def connect(
        self, user_id: int = 1, vsn: str | None = "2.0.0", *, autoping: bool = True
    ) -> aiohttp.ClientWebSocketResponse:
        query = {"token": token_of(user_id)} | ({} if vsn is None else {"vsn": vsn})
        return await self._client.ws_connect(self.url, params=query, max_msg_size=0, autoping=autoping)

    async def connect_raw(self, user_id: int = 1, *, receive_buffer: int = 0) -> RawSocket:
        """A client that can send malformed frames."""
        path = f"/socket/websocket?vsn=2.0.0&token={token_of(user_id)}"
        self._raw.append(await RawSocket.connect(self.port, path, receive_buffer=receive_buffer))
        return self._raw[-1]

    async def get(self, path: str = "", **query: str) -> tuple[int, bytes]:
        """Send a plain GET, without an upgrade; return its status and body."""
        async with self._client.get(self.url + path, params=query) as response:
            return response.status, await response.read()

    async def refusal(
        self, query: dict[str, str], headers: dict[str, str] | None = None, path: str = ""
    ) -> tuple[int, bytes]:
        """Send an upgrade; return the status and the body of the answer. The status of an accepted upgrade is 101."""
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        async with self._client.get(self.url + path, params=query, headers={**upgrade, **(headers or {})}) as response:
            return response.status, b"" if response.status == 101 else await response.read()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the server does and that has no event."""
        await until(condition)

    async def until_quiet(self) -> None:
        """Wait until nobody is connected any more, and no request is being handled."""
        await self.until(lambda: not self.endpoint.connections and not self._node.connections)

    async def close(self) -> None:
        for raw in self._raw:
            await raw.close()

    async def stop(self) -> None:
        await self._node.stop()


StartLab = Callable[..., Awaitable[LabServer]]


@pytest.fixture
async def start_lab() -> AsyncIterator[StartLab]:
    """`await start_lab(hub=..., idle_seconds=...)` starts a node with these settings."""
    labs: list[LabServer] = []
    async with aiohttp.ClientSession() as client:

        async def start(hub: MemoryHub | None = None, admit: Admit | None = None, **settings: object) -> LabServer:
            chosen = replace(Settings(jwt_secrets=(SECRET,)), **settings)  # type: ignore[arg-type]
            node = await start_lab_node(chosen, MemoryBroker(hub), admit=admit)
            labs.append(LabServer(node, client))
            return labs[-1]

        yield start
        for lab in labs:
            await lab.close()
    for lab in labs:
        await lab.stop()


@pytest.fixture
async def lab(start_lab: StartLab) -> LabServer:
    return await start_lab()
