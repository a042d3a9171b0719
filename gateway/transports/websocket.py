"""The WebSocket transport: one task reads a socket; all frames of one turn of the loop leave in one write.

aiohttp parses incoming frames. This module makes outgoing frames, so that a broadcast is framed once for all its
sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, hdrs, web
from aiohttp.http_websocket import WS_CLOSING_MESSAGE

from gateway.protocol.close_codes import BAD_FRAME, IDLE, INVALID_TEXT, SLOW, Close
from gateway.protocol.messages import BadFrame, Frame, InvalidText
from gateway.protocol.serializer import Serializer
from gateway.runtime.broadcast import Broadcast
from gateway.runtime.connection import Connection
from gateway.runtime.endpoint import Endpoint
from gateway.runtime.refusals import (
    NO_TOKEN,
    TOO_MANY_WEBSOCKETS,
    UNKNOWN_VERSION,
    WRONG_ORIGIN,
    WRONG_SUBPROTOCOL,
)
from gateway.transports.fairness import FAIR_FRAMES
from gateway.transports.frames import close_frame, wire
from gateway.transports.goodbye import Goodbye
from gateway.transports.handshake import (
    SUBPROTOCOL,
    origin_is_allowed,
    query_of,
    serializer_of,
    subprotocols_of,
)
from gateway.transports.refused import tell_refused
from shared.access.actor import Actor
from shared.access.admission import Admit, Refused
from shared.logs import log_of
from shared.postgres import DatabaseUnavailable

log = log_of(__name__)

_TEXT, _BINARY, _PING, _PONG = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG
"""Constants, because looking up a member of an enum takes longer than everything else that is done for a frame."""


class Flusher:
    """Writes the frames of a node's connections once in each turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[WebSocketConnection] = []
        self.turns = 0
        """Counts the turns of the loop with writes: if it changes, other connections have had their turn."""

    def add(self, connection: WebSocketConnection) -> None:
        """Write the frames of this connection at the end of this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(connection)

    def _flush(self) -> None:
        self.turns += 1
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            connection.flush()


class WebSocket(web.WebSocketResponse[Any]):
    """aiohttp's WebSocket with its own close, which aiohttp also calls when a client closes or breaks the rules.

    The waiting frames are sent first, then the close frame. Then the client has `close_seconds` to read and to close.
    """

    before_close: Callable[[], None] | None = None
    close_seconds: float = 5.0
    goodbye: Goodbye | None = None
    """Set when the close frame has been sent."""

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool:
        return self.say_goodbye(code, message)

    def say_goodbye(self, code: int, reason: bytes = b"") -> bool:
        """Send the waiting frames and a close frame, and end `receive`. Returns False if it was closed before."""
        if self.before_close is not None:
            # This flush may find that the client is too slow, and close the socket for that reason.
            self.before_close()
        if self.closed:
            return False
        self._set_closed()
        request, reader = self._req, self._reader
        transport = None if request is None else request.transport
        if transport is not None and not transport.is_closing():
            try:
                transport.write(close_frame(code, reason))
            except RuntimeError:
                # The client is gone: uvloop raises before it reports the lost connection.
                transport.abort()
            else:
                self.goodbye = Goodbye(transport, self.close_seconds)
        if self._waiting and reader is not None:
            reader.feed_data(WS_CLOSING_MESSAGE, 0)
        return True

    def break_cycles(self) -> None:
        """Break the reference cycles of this socket, which only the garbage collector would free.

        One cycle includes the connection. Another includes the error that aiohttp keeps when a client goes away: its
        traceback holds the frames of this object's methods.
        """
        self.before_close = None
        error = self.exception()
        while error is not None:
            error.__traceback__ = None
            error = error.__context__


class WebSocketConnection(Connection):
    """A connection over a prepared WebSocketResponse."""

    __slots__ = (
        "_counts",
        "_flusher",
        "_is_mute",
        "_limit",
        "_out",
        "_quiet_since",
        "_socket",
        "_transport",
        "_was_heard",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        serializer: Serializer,
        actor: Actor,
        as_of: float,
        socket: WebSocket,
        transport: asyncio.WriteTransport,
        flusher: Flusher,
    ) -> None:
        super().__init__(endpoint, serializer, actor, as_of)
        self._socket = socket
        socket.before_close = self.flush
        self._transport = transport
        self._flusher = flusher
        self._out: list[bytes] = []
        self._limit = endpoint.settings.max_outbox_bytes
        self._is_mute = False
        """True after a close: nothing more is sent, so no frames are collected."""
        self._counts = endpoint.counts
        self._was_heard = True
        """True if something was received since the last check. Noting the time of each frame would cost more."""
        self._quiet_since = 0.0
        """Loop time of the last check after which nothing was received."""

    def send(self, frame: Frame | None) -> None:
        if frame is None or self._is_mute:
            return
        if not self._out:
            self._flusher.add(self)
        self._out.append(wire(frame))

    def send_broadcast(self, broadcast: Broadcast) -> None:
        framed = broadcast.wire(self.serializer)
        if framed is None or self._is_mute:
            return
        if not self._out:
            self._flusher.add(self)
        self._out.append(framed)

    @property
    def outbox_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    def flush(self) -> None:
        """Write the collected frames. If more bytes than the limit wait, close the connection; the client catches up
        later."""
        out = self._out
        if not out:
            return
        transport = self._transport
        try:
            transport.write(out[0] if len(out) == 1 else b"".join(out))
        except RuntimeError:
            # The client is gone, and `run` has not noticed yet. uvloop raises here; asyncio's own loop drops the bytes.
            out.clear()
            return
        self._counts.frames_out += len(out)
        out.clear()
        if transport.get_write_buffer_size() > self._limit:
            self.close(SLOW)

    def close(self, close: Close) -> None:
        if not self._is_mute and not self.gone:
            self._is_mute = True
            self.closes(close)
            # This also writes the frames that were sent before.
            self._socket.say_goodbye(close.code, close.reason.encode())

    def dropped(self) -> None:
        self._is_mute = True
        super().dropped()

    async def run(self) -> None:
        """Read and handle frames until the connection ends."""
        self.endpoint.connections.add(self)
        receive, counts = self._socket.receive, self.endpoint.counts
        flusher, most = self._flusher, self.endpoint.settings.max_backlog_messages
        allowance, per_frame = self.allowance, self.allowance.per_frame
        handled, turn = 0, flusher.turns
        try:
            while True:
                kind, data, _ = await receive()
                self._was_heard = True
                handled += 1
                if handled == FAIR_FRAMES:
                    if flusher.turns == turn:
                        # Frames that have already arrived are received without waiting: give other connections a turn.
                        await asyncio.sleep(0)
                    handled, turn = 0, flusher.turns
                if kind is _TEXT:
                    counts.frames_in += 1
                    allowance.left -= len(data) + per_frame
                    self.receive_text(data)
                elif kind is _BINARY:
                    counts.frames_in += 1
                    allowance.left -= len(data) + per_frame
                    self.receive_binary(data)
                elif kind is _PING:
                    allowance.left -= len(data) + per_frame
                    self.flush()
                    await self._socket.pong(data)
                elif kind is _PONG:
                    allowance.left -= per_frame
                else:
                    break
                # This is `is_congested`, without its look-ups.
                if self.backlog >= most or allowance.left < 0:
                    await self.decongested()
        except BadFrame as error:
            self._bad_frame(error)
        except ConnectionError:
            # The client vanished while something was being sent, for example a pong.
            pass
        finally:
            try:
                self.dropped()
                self._out.clear()
                if self._socket.goodbye is not None:
                    await self.endpoint.connections.farewell(self._socket.goodbye)
            finally:
                self._socket.break_cycles()

    def _bad_frame(self, error: BadFrame) -> None:
        # The frame is not logged: it is the client's private data.
        log.info("bad frame", **self.log_fields, error=type(error).__name__)
        self.close(INVALID_TEXT if isinstance(error, InvalidText) else BAD_FRAME)

    def check(self, now: float) -> None:
        super().check(now)
        if self._was_heard:
            self._was_heard = False
            self._quiet_since = now
        elif now - self._quiet_since >= self.endpoint.settings.idle_seconds:
            self.close(IDLE)


class WebSocketTransport:
    """The handler of `/socket/websocket`."""

    def __init__(self, endpoint: Endpoint, admit: Admit) -> None:
        self._endpoint = endpoint
        self._settings = endpoint.settings
        self._admit = admit
        self._flusher = Flusher(asyncio.get_running_loop())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Admit a client and serve it until its WebSocket ends, or answer 400, 403, 429 or 503."""
        if request.method != hdrs.METH_GET:
            return web.Response(status=400)
        query = query_of(request)
        serializer = serializer_of(query)
        offer = subprotocols_of(request)
        token = query.get("token", "") if offer.token is None else offer.token
        if serializer is None:
            return self._refused(request, UNKNOWN_VERSION)
        if not offer.is_good:
            return self._refused(request, WRONG_SUBPROTOCOL)
        if not token:
            return self._refused(request, NO_TOKEN)
        if not origin_is_allowed(request, self._settings):
            return self._refused(request, WRONG_ORIGIN)
        if self._endpoint.is_draining:
            return web.Response(status=503)
        as_of = asyncio.get_running_loop().time()
        try:
            actor = await self._admit(token)
        except Refused as refused:
            return self._refused(request, refused.reason, user_id=refused.user_id)
        except DatabaseUnavailable:
            return web.Response(status=503)
        if self._open(actor.user_id) >= self._settings.max_websockets_per_user:
            return self._refused(request, TOO_MANY_WEBSOCKETS, 429, user_id=actor.user_id)
        # For aiohttp, the limit is the smallest size that is too large.
        socket = WebSocket(
            compress=False,
            autoping=False,
            protocols=(SUBPROTOCOL,),
            max_msg_size=self._settings.max_message_bytes + 1,
            decode_text=False,
        )
        socket.close_seconds = self._settings.close_seconds
        try:
            await socket.prepare(request)
        except ConnectionError:
            # The client went away before it was admitted.
            return socket
        transport = request.transport
        if transport is not None:
            connection = WebSocketConnection(self._endpoint, serializer, actor, as_of, socket, transport, self._flusher)
            await connection.run()
        return socket

    def _open(self, user_id: int) -> int:
        """Returns the number of a user's open WebSockets."""
        return sum(isinstance(one, WebSocketConnection) for one in self._endpoint.connections.of_user(user_id))

    def _refused(
        self, request: web.Request, reason: str, status: int = 403, *, user_id: int | None = None
    ) -> web.Response:
        tell_refused(self._endpoint, request, reason, user_id)
        return web.Response(status=status)
