"""Opens WebSockets that cost a test little: nothing reads them after the handshake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.settings import Settings
from tests.support.processes import Node


@asynccontextmanager
async def idle_socket(node: Node, settings: Settings, user_id: int) -> AsyncIterator[asyncio.StreamReader]:
    """A WebSocket that has joined no topic. At the end it is aborted, without a close frame."""
    token = Tokens(settings.jwt_secrets, 3600).issue(user_id, Role.USER, None)
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    try:
        writer.write(
            f"GET /socket/websocket?vsn=2.0.0&token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        yield reader
    finally:
        writer.transport.abort()
