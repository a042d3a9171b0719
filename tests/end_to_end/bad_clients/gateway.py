"""One gateway node with small limits, as a process, and people and raw sockets that connect to it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import aiohttp
import psutil

from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.settings import Settings
from tests.gateway.transports.raw_socket import RawSocket, frame
from tests.support.database import add_users
from tests.support.processes import Node
from tests.support.waiting import PATIENCE_SECONDS


@dataclass
class Gateway:
    """One node with small limits, and people who can connect to it."""

    node: Node
    settings: Settings

    def people(self, count: int) -> list[tuple[int, str]]:
        """The ids and tokens of new users."""
        tokens = Tokens(self.settings.jwt_secrets, 3600)
        ids = add_users(self.settings.database_url, count)
        return [(user_id, tokens.issue(user_id, Role.USER, None)) for user_id in ids]

    async def raw(self, token: str, receive_buffer: int = 0) -> RawSocket:
        path = f"/socket/websocket?vsn=2.0.0&token={token}"
        socket = await RawSocket.connect(self.node.port, path, receive_buffer=receive_buffer)
        assert socket.head.startswith(b"HTTP/1.1 101"), socket.head
        return socket

    @property
    def memory(self) -> int:
        """The bytes of memory that the node's process uses."""
        rss: int = psutil.Process(self.node.pid).memory_info().rss
        return rss

    async def metric(self, name: str) -> int:
        async with aiohttp.ClientSession() as client, client.get(self.node.url + "/metrics") as response:
            text = await response.text()
        samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return int(float(samples[f"gateway_{name}"]))

    async def until_metric(self, name: str, least: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.metric(name) < least:  # noqa: ASYNC110 (another process's)
                await asyncio.sleep(0.05)


def text(*parts: object) -> bytes:
    return frame(json.dumps(parts).encode())


async def next_frames(socket: RawSocket, count: int) -> list[Any]:
    """The next `count` text frames."""
    return [json.loads((await socket.receive()).payload) for _ in range(count)]
