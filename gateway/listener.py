"""Where TCP connections come in: no more than a node can hold, and none that dawdles over its first request.

aiohttp does the rest: the size of a head, what comes after it, idle connections.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from typing import ClassVar, cast

from aiohttp import web

BACKLOG = 4096
"""Connections that the kernel keeps for us; clients of a node that died come all at once."""
RESERVED_DESCRIPTORS = 200
"""For Postgres, Redis, logs and what else a process opens."""

_REFUSAL = b"too many connections\n"
_REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_REFUSAL), _REFUSAL)
)
_GOODBYE_SECONDS = 2.0
_MAX_REFUSALS = 100
"""Answers under way; past it connections are cut without one."""


async def listen(
    server: web.Server, host: str, port: int, *, max_connections: int, head_seconds: float
) -> asyncio.Server:
    """Serve until the returned server is closed. Raises OSError."""
    loop = asyncio.get_running_loop()
    limit = min(max_connections, _descriptors() - RESERVED_DESCRIPTORS)

    def connected() -> asyncio.Protocol:
        # Its `connections` would be a new list each time.
        if len(server._connections) >= limit:
            return _Refusal()
        handler = server()
        loop.call_later(head_seconds, _end_dawdler, handler)
        return handler

    factory: Callable[[], asyncio.Protocol] = connected
    return await loop.create_server(factory, host, port, backlog=BACKLOG)


def _end_dawdler(handler: web.RequestHandler) -> None:
    # aiohttp counts requests whose head is complete, and tells nobody.
    if handler.transport is not None and not handler._request_count:
        handler.force_close()


class _Refusal(asyncio.Protocol):
    """Answers before anything was asked, and hangs up when the client has asked, or has had the time to."""

    _open: ClassVar[int] = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by isinstance: uvloop's are no asyncio.Transport.
        self._transport = transport = cast(asyncio.Transport, transport)
        _Refusal._open += 1
        if _Refusal._open > _MAX_REFUSALS:
            transport.abort()
            return
        # Not closed at once: with a request unread that would be a reset, which takes the answer along.
        transport.write(_REFUSED)
        transport.write_eof()
        asyncio.get_running_loop().call_later(_GOODBYE_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        _Refusal._open -= 1


def _descriptors() -> int:
    """How many this process may have, after asking for as many as it can get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            return soft
    return hard
