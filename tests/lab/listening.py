"""Serves the channel layer of a node as the product does, with its listener, and nothing else."""

from __future__ import annotations

import socket

from aiohttp import web

from gateway.app import WEBSOCKETS, add_socket
from gateway.listener import Listener, listen
from gateway.runtime.endpoint import Endpoint
from gateway.transports.websockets import WebSockets
from shared.access.admission import Admit


class Served:
    """A server that listens. The endpoint is started and stopped by the caller."""

    def __init__(self, runner: web.AppRunner, listener: Listener, websockets: WebSockets) -> None:
        self.listener = listener
        self._runner = runner
        self.websockets = websockets
        self.port = listener.port

    @property
    def connections(self) -> int:
        """The number of TCP connections that have begun to send something."""
        assert self._runner.server is not None
        return len(self._runner.server.connections) + self.websockets.count

    async def stop(self) -> None:
        """Accept no more connections, and end those that there are."""
        self.listener.close()
        await self._runner.cleanup()


async def serve(
    endpoint: Endpoint,
    admit: Admit,
    port: int = 0,
    *,
    shutdown_seconds: float = 1.0,
    sockets: list[socket.socket] | None = None,
) -> Served:
    """Listen on a port of this machine, on a free one if it is 0; or on these sockets."""
    app = web.Application()
    add_socket(app, endpoint, admit)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_seconds)
    await runner.setup()
    assert runner.server is not None
    settings = endpoint.settings
    listener = await listen(
        runner.server,
        app[WEBSOCKETS],
        "127.0.0.1",
        port,
        max_connections=settings.max_connections,
        head_seconds=settings.request_head_seconds,
        sockets=sockets,
    )
    return Served(runner, listener, app[WEBSOCKETS])
