"""Who may connect by WebSocket, and how a request becomes a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NamedTuple

from aiohttp import hdrs, web

from gateway.protocol.serializer import Serializer
from gateway.runtime.endpoint import Endpoint
from gateway.runtime.refusals import (
    NO_TOKEN,
    POSTGRES_AWAY,
    TOO_MANY_WEBSOCKETS,
    UNKNOWN_VERSION,
    WRONG_ORIGIN,
    WRONG_SUBPROTOCOL,
)
from gateway.transports.handshake import origin_is_allowed, query_of, serializer_of, subprotocols_of
from gateway.transports.refused import tell_refused
from gateway.transports.upgrade import Asked, Refusal
from gateway.transports.websocket import Shared, WebSocketConnection
from shared.access.actor import Actor
from shared.access.admission import Admit, Refused
from shared.postgres import DatabaseUnavailable
from shared.tracing import traceparent_of

PATHS = ("/socket/websocket", "/socket/websocket/")

_UNAVAILABLE = Refusal(503)


class Admitted(NamedTuple):
    """Who asked for the WebSocket, and what was agreed."""

    serializer: Serializer
    actor: Actor
    as_of: float
    has_subprotocol: bool


class WebSockets:
    """The WebSockets of a node."""

    def __init__(self, endpoint: Endpoint, admit: Admit) -> None:
        self.endpoint = endpoint
        self._settings = endpoint.settings
        self._admit = admit
        self._shared = Shared()

    @property
    def count(self) -> int:
        """The number of TCP connections that are WebSockets, also while they close."""
        return self._shared.count

    def admit(self, asked: Asked) -> Coroutine[Any, Any, Admitted | Refusal]:
        """Find out who asks, and whether they may connect. Waits only for what it asks Postgres."""
        deciding, tracing = self._decide(asked), self.endpoint.tracing
        if tracing is None:
            return deciding
        return tracing.handshake(PATHS[0], self._traceparent(asked), deciding)

    def _traceparent(self, asked: Asked) -> str:
        return traceparent_of(asked.remote, asked.headers, self._settings.trusted_proxies)

    async def _decide(self, asked: Asked) -> Admitted | Refusal:
        query = query_of(asked.url.raw_query_string)
        serializer = serializer_of(query)
        offer = subprotocols_of(asked.headers)
        token = query.get("token", "") if offer.token is None else offer.token
        if serializer is None:
            return self._refused(asked, UNKNOWN_VERSION)
        if not offer.is_good:
            return self._refused(asked, WRONG_SUBPROTOCOL)
        if not token:
            return self._refused(asked, NO_TOKEN)
        if not origin_is_allowed(asked, self._settings):
            return self._refused(asked, WRONG_ORIGIN)
        if self.endpoint.is_draining:
            return _UNAVAILABLE
        as_of = asyncio.get_running_loop().time()
        try:
            actor = await self._admit(token)
        except Refused as refused:
            return self._refused(asked, refused.reason, user_id=refused.user_id)
        except DatabaseUnavailable:
            return self._refused(asked, POSTGRES_AWAY, 503)
        return Admitted(serializer, actor, as_of, hdrs.SEC_WEBSOCKET_PROTOCOL in asked.headers)

    def open(
        self, asked: Asked, found: Admitted | Refusal, transport: asyncio.Transport
    ) -> WebSocketConnection | Refusal:
        """Returns the connection, which has to `begin`; or why there is none."""
        if isinstance(found, Refusal):
            return found
        serializer, actor, as_of, has_subprotocol = found
        if self._has_too_many(actor.user_id):
            return self._refused(asked, TOO_MANY_WEBSOCKETS, 429, user_id=actor.user_id)
        answer = asked.switch(has_subprotocol)
        if isinstance(answer, Refusal):
            return answer
        connection = WebSocketConnection(self.endpoint, serializer, actor, as_of, transport, answer, self._shared)
        if self.endpoint.tracing is not None:
            connection.traceparent = self.endpoint.tracing.readable(self._traceparent(asked))
        return connection

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Handle a request that aiohttp has read: one that is no upgrade, or not the first thing on its connection.

        Such an upgrade is seldom: a request before it, a large head, a target with a host in it.
        """
        if request.method != hdrs.METH_GET:
            return web.Response(status=400)
        asked = Asked(request.headers, request.rel_url, request.version, request.transport)
        found = await self.admit(asked)
        handler = request.protocol
        transport = handler.transport
        if transport is None or transport.is_closing():
            # The client went away before it was admitted.
            return _Left()
        opened = self.open(asked, found, transport)
        if isinstance(opened, Refusal):
            return opened.response()
        # What follows the request is not aiohttp's any more. Its handler of the connection ends as if the client had
        # gone; without a transport it can close nothing.
        received, handler._message_tail = handler._message_tail, b""
        handler.transport = None
        handler.connection_lost(None)
        opened.begin(received, False)
        return _Left()

    async def end(self, _: web.Application) -> None:
        """Cut the connections that are left when the node stops."""
        self.endpoint.connections.cut()
        for connection in self.endpoint.connections:
            if isinstance(connection, WebSocketConnection):
                connection.cut()

    def _has_too_many(self, user_id: int) -> bool:
        """True if the user may open no more WebSockets. Long-poll sessions have a limit of their own."""
        most, connections = self._settings.max_websockets_per_user, self.endpoint.connections.of_user(user_id)
        return len(connections) >= most <= sum(isinstance(one, WebSocketConnection) for one in connections)

    def _refused(self, asked: Asked, reason: str, status: int = 403, *, user_id: int | None = None) -> Refusal:
        tell_refused(self.endpoint, asked, reason, user_id)
        return Refusal(status)


class _Left(web.Response):
    """What aiohttp gets for a request whose connection it has no longer: nothing is written."""

    async def prepare(self, request: web.BaseRequest) -> None:
        raise ConnectionResetError("the connection is no longer aiohttp's")
