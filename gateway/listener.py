"""Accepts TCP connections: at most as many as the node can hold, and only if their first request comes in time.

gateway/transports/door.py decides who goes on with a connection: a WebSocket, or aiohttp.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Callable
from typing import ClassVar, cast

from aiohttp import web

from gateway.transports.door import Door, Hall
from gateway.transports.websockets import WebSockets
from shared.refusals import have_all_asked

BACKLOG = 4096
"""Connections that may wait in the kernel: the clients of a dead node all come at once."""
ACCEPTED_AT_ONCE = 8
"""Connections that are accepted in one turn of the loop, for each address.

uvloop accepts one for each descriptor that listens. When a node dies, its clients come to the others all at once, and a
turn for each would take half as much time again as all the rest. So several descriptors of one socket listen. If only
one client comes, the other descriptors find nobody, which takes less than a microsecond each.
"""
RESERVED_DESCRIPTORS = 200
"""File descriptors reserved for Postgres, Redis, logs and other files."""

_REFUSAL = b"too many connections\n"
_REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_REFUSAL), _REFUSAL)
)
_GOODBYE_SECONDS = 2.0
_MAX_REFUSALS = 100
"""Refusals at the same time; beyond that, connections are cut without an answer."""


class Listener:
    """Accepts connections until it is closed."""

    def __init__(self, servers: list[asyncio.Server], hall: Hall) -> None:
        self._servers = servers
        self._hall = hall

    @property
    def connections(self) -> int:
        """The number of open TCP connections that it has accepted."""
        return self._hall.connections

    @property
    def port(self) -> int:
        """The port of the first address."""
        port: int = self._servers[0].sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Accept no more connections. Those that there are stay."""
        for server in self._servers:
            server.close()

    def is_settled(self) -> bool:
        """Whether the first request of each connection has arrived, and it is decided who goes on with it."""
        return self._hall.doors == 0 and have_all_asked(self._hall.server)


async def listen(
    server: web.Server,
    websockets: WebSockets,
    host: str,
    port: int,
    *,
    max_connections: int,
    head_seconds: float,
    sockets: list[socket.socket] | None = None,
) -> Listener:
    """Serve until the returned listener is closed, on the address or on the sockets. Raises OSError if it cannot."""
    limit = min(max_connections, _descriptors() - RESERVED_DESCRIPTORS)
    hall = Hall(server, websockets, head_seconds)

    def connected() -> asyncio.Protocol:
        return _Refusal() if hall.connections >= limit else Door(hall)

    factory: Callable[[], asyncio.Protocol] = connected
    loop = asyncio.get_running_loop()
    if sockets is None:
        servers = [await loop.create_server(factory, host, port, backlog=BACKLOG)]
    else:
        servers = [await loop.create_server(factory, sock=each, backlog=BACKLOG) for each in sockets]
    for listening in [each for first in tuple(servers) for each in first.sockets]:
        for _ in range(ACCEPTED_AT_ONCE - 1):
            again = socket.socket(fileno=os.dup(listening.fileno()))
            servers.append(await loop.create_server(factory, sock=again, backlog=BACKLOG))
    return Listener(servers, hall)


class _Refusal(asyncio.Protocol):
    """Answers 503 at once, and closes when the client has sent something or has had time to."""

    _open: ClassVar[int] = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not isinstance: uvloop's transports do not derive from asyncio.Transport.
        self._transport = transport = cast(asyncio.Transport, transport)
        _Refusal._open += 1
        if _Refusal._open > _MAX_REFUSALS:
            transport.abort()
            return
        # If the socket closed at once with an unread request, the system would reset it, and the answer would be lost.
        transport.write(_REFUSED)
        transport.write_eof()
        asyncio.get_running_loop().call_later(_GOODBYE_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        _Refusal._open -= 1


def _descriptors() -> int:
    """Returns how many file descriptors this process may have, after raising the limit as far as possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            return soft
    return hard
