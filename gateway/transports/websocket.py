"""A connection by WebSocket: the bytes of its client become messages, and its frames become bytes.

Nothing here waits: no task and no queue exists for a connection, except while its client must wait. The frames are read
by `gateway/protocol/websocket_reader.py`. This module decides when to read and when to write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

from aiohttp._websocket.helpers import websocket_mask

from gateway.protocol.close_codes import BAD_FRAME, IDLE, INVALID_TEXT, SLOW, Close
from gateway.protocol.messages import BadFrame, Frame, InvalidText
from gateway.protocol.serializer import Serializer
from gateway.protocol.websocket_reader import BINARY, CONTINUATION, PING, PONG, TEXT, VIOLATION, WebSocketReader
from gateway.runtime.broadcast import Broadcast
from gateway.runtime.connection import Connection
from gateway.runtime.endpoint import Endpoint
from gateway.runtime.stepping import Suspended
from gateway.transports.fairness import FAIR_FRAMES
from gateway.transports.frames import close_frame, pong_frame, wire
from gateway.transports.goodbye import Goodbye
from shared.access.actor import Actor
from shared.logs import log_of

log = log_of(__name__)

LEAST_AT_ONCE = 128
"""If no more connections wait, all of them are written to in one turn of the loop."""
_SHARES = 8
"""If many wait, one turn writes to this part of them: an eighth."""
_NORMAL = 1000
"""The code that answers a close frame without a code."""


class Flushable(Protocol):
    """What collects frames until it is flushed."""

    def flush(self) -> None: ...


class Flusher:
    """Writes the frames of a node's connections at the ends of the loop's turns. Who has waited longest comes first.

    Writes that follow each other at once cost the kernel less than writes between other work: the process at the other
    end is woken once for many of them. But one turn does not write to all of many connections. So the node reads other
    clients and other nodes in between, and whoever still waits gets a later broadcast in the same write.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Flushable] = deque()

    def add(self, connection: Flushable) -> None:
        """Flush this connection when its turn comes."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(connection)

    def _flush(self) -> None:
        waiting = self._waiting
        count = min(len(waiting), max(LEAST_AT_ONCE, len(waiting) // _SHARES))
        if count < len(waiting):
            self._loop.call_soon(self._flush)
        for _ in range(count):
            waiting.popleft().flush()


class Shared:
    """What the WebSockets of a node share. `count` is how many TCP connections they have, closing ones included."""

    def __init__(self) -> None:
        self.flusher = Flusher(asyncio.get_running_loop())
        self.count = 0


class WebSocketConnection(Connection, asyncio.Protocol):
    """A connection and the protocol of its transport in one."""

    transport = "websocket"

    __slots__ = (
        "_counts",
        "_has_ended",
        "_is_finishing",
        "_is_mute",
        "_is_paused",
        "_limit",
        "_out",
        "_quiet_since",
        "_reader",
        "_shared",
        "_transport",
        "_uncounted",
        "_was_heard",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        serializer: Serializer,
        actor: Actor,
        as_of: float,
        transport: asyncio.Transport,
        answer: bytes,
        shared: Shared,
    ) -> None:
        """`answer` is the one to the request that opens the WebSocket."""
        super().__init__(endpoint, serializer, actor, as_of)
        self._transport = transport
        self._shared = shared
        self._reader = WebSocketReader(endpoint.settings.max_message_bytes, websocket_mask)
        self._out = [answer]
        self._uncounted = 1
        """How many parts of `_out` are not counted as frames: the answer to the request, and pongs."""
        self._limit = endpoint.settings.max_outbox_bytes
        self._is_mute = False
        """True after a close: nothing more is sent, so no frames are collected."""
        self._is_paused = False
        """True while the client must wait, and nothing is read."""
        self._is_finishing = False
        """True if nothing more is read, ever."""
        self._has_ended = False
        """True if the client sends no more (it has sent FIN)."""
        self._counts = endpoint.counts
        self._was_heard = True
        """True if something was received since the last check. Noting the time of each frame would cost more."""
        self._quiet_since = 0.0
        """Loop time of the last check after which nothing was received."""

    def begin(self, received: bytes, has_ended: bool) -> None:
        """Take the transport over, answer, and handle what the client has already sent."""
        self._shared.count += 1
        self._shared.flusher.add(self)
        self._transport.set_protocol(self)
        self.endpoint.connections.add(self)
        if received and not self._is_mute:
            self.data_received(received)
        if has_ended:
            self.eof_received()
        elif not self._is_paused:
            self._transport.resume_reading()

    # Reading

    def data_received(self, data: bytes) -> None:
        self._was_heard = True
        self._reader.feed(data)
        if not self._is_paused:
            self._read()

    def _read(self) -> None:
        """Handle the frames that have arrived, in order; not so many that others wait."""
        next_frame, counts, allowance = self._reader.next, self._counts, self.allowance
        handle, decode_text = self.handle, self.serializer.decode_text
        per_frame, most = allowance.per_frame, self.endpoint.settings.max_backlog_messages
        left = FAIR_FRAMES
        try:
            while (event := next_frame()) is not None:
                kind, data = event
                allowance.left -= len(data) + per_frame
                if kind == TEXT:
                    counts.frames_in += 1
                    handle(decode_text(data))
                elif kind == BINARY:
                    counts.frames_in += 1
                    handle(self.serializer.decode_binary(data))
                elif kind == PING:
                    self._pong(data)
                elif kind == VIOLATION:
                    assert self._reader.violation is not None
                    self._break(self._reader.violation)
                elif kind != PONG and kind != CONTINUATION:
                    self._close_back(data)
                if self._is_mute:
                    break
                # This is `is_congested`, without its look-ups.
                if (self.backlog >= most or allowance.left < 0) and self._must_wait():
                    return
                left -= 1
                if not left and self._reader.has_bytes:
                    self._pause()
                    asyncio.get_running_loop().call_soon(self._go_on)
                    return
        except BadFrame as error:
            self._break(INVALID_TEXT if isinstance(error, InvalidText) else BAD_FRAME)
        if self._has_ended:
            self._answer_the_last()

    def _must_wait(self) -> bool:
        """Returns False if the client need not wait after all; else reads on when it has waited."""
        waiting = self.endpoint.step(self.decongested())
        if type(waiting) is not Suspended:
            return False
        self._pause()
        waiting.task.add_done_callback(self._go_on)
        return True

    def _pause(self) -> None:
        self._is_paused = True
        self._transport.pause_reading()

    def _go_on(self, waited: asyncio.Task[Any] | None = None) -> None:
        if self._is_mute or self._is_finishing or (waited is not None and waited.cancelled()):
            return
        self._is_paused = False
        self._read()
        if not self._is_paused and not self._has_ended:
            self._transport.resume_reading()

    async def finish(self) -> None:
        self._is_finishing = True
        if not self._is_paused and not self._is_mute:
            self._pause()
        await super().finish()

    def eof_received(self) -> bool:
        """The client sends no more: answer what it has sent, then end. Returns True, so that the transport stays."""
        self._has_ended = True
        if not self._is_paused:
            self._answer_the_last()
        return True

    def _answer_the_last(self) -> None:
        if self._is_mute:
            return
        if self.is_busy:
            asyncio.create_task(self._answered()).add_done_callback(self._leave)
        else:
            self._leave()

    async def _answered(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.endpoint.settings.close_seconds):
                await self.at_rest()

    def _leave(self, _: object = None) -> None:
        if not self._is_mute:
            self._say_goodbye(b"")

    def _break(self, close: Close) -> None:
        # The frame is not logged: it is the client's private data.
        log.info("bad frame", **self.log_fields, reason=close.reason)
        self.close(close)

    def _close_back(self, payload: bytes) -> None:
        """Answer a close frame with its own code (RFC 6455, 5.5.1)."""
        self._say_goodbye(close_frame(int.from_bytes(payload[:2]) if payload else _NORMAL))

    # Writing

    def send(self, frame: Frame | None) -> None:
        if frame is None or self._is_mute:
            return
        if not self._out:
            self._shared.flusher.add(self)
        self._out.append(wire(frame))

    def _pong(self, payload: bytes) -> None:
        if not self._out:
            self._shared.flusher.add(self)
        self._out.append(pong_frame(payload))
        self._uncounted += 1

    def send_broadcast(self, broadcast: Broadcast) -> None:
        framed = broadcast.wire(self.serializer)
        if framed is None or self._is_mute:
            return
        if not self._out:
            self._shared.flusher.add(self)
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
            # The client is gone, and `connection_lost` comes next. uvloop raises; asyncio's own loop drops the bytes.
            out.clear()
            self._uncounted = 0
            return
        self._counts.frames_out += len(out) - self._uncounted
        self._uncounted = 0
        out.clear()
        if transport.get_write_buffer_size() > self._limit:
            self.close(SLOW)

    # Ending

    def close(self, close: Close) -> None:
        if not self._is_mute and not self.gone:
            self.closes(close)
            self._say_goodbye(close_frame(close.code, close.reason.encode()))

    def _say_goodbye(self, last: bytes) -> None:
        """Write the frames that were sent before and the last one. The channels end in the next turn of the loop."""
        self._is_mute = True
        self.flush()
        transport = self._transport
        if not transport.is_closing():
            if last:
                transport.write(last)
            goodbye = Goodbye(transport, self.endpoint.settings.close_seconds, self._has_ended)
            self.endpoint.connections.farewell(goodbye)
        asyncio.get_running_loop().call_soon(self._end)

    def cut(self) -> None:
        """End the connection now."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.count -= 1
        self._end()

    def _end(self) -> None:
        self._is_mute = True
        self._out.clear()
        if not self.gone:
            self.dropped()
            # Whoever waits until the client may send again waits no longer.
            self.resume()

    def check(self, now: float) -> None:
        super().check(now)
        if self._was_heard or self._is_paused:
            self._was_heard = False
            self._quiet_since = now
        elif now - self._quiet_since >= self.endpoint.settings.idle_seconds:
            self.close(IDLE)
