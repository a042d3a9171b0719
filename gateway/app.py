"""Puts the gateway together: the only module that sees all of it."""

from __future__ import annotations

from aiohttp import web

from gateway.identity import Authenticator
from gateway.runtime.endpoint import Endpoint
from gateway.transports.websocket import WebSocketTransport


def add_socket(app: web.Application, endpoint: Endpoint, authenticate: Authenticator) -> None:
    """Serve the channel layer at `/socket`."""
    websocket = WebSocketTransport(endpoint, authenticate)
    for path in ("/socket/websocket", "/socket/websocket/"):
        app.router.add_get(path, websocket.handle)
