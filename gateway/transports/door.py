"""The beginning of a TCP connection: its first request decides who goes on with it.

A request for a WebSocket is answered here, if it is the first on its connection. It is parsed by aiohttp's parser, and
all this takes a fraction of what a request takes aiohttp's server. Everything else is aiohttp's, from its first byte:
other requests, large heads, and what is no HTTP. aiohttp limits the size of a head, answers, and closes idle
connections.

aiohttp gets a request only when its head is whole, so that a client who never completes one costs little. A large head
that is beyond aiohttp's limits is refused here, which takes less time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from http import HTTPStatus
from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD

from gateway.runtime.stepping import Suspended
from gateway.transports.goodbye import Goodbye
from gateway.transports.upgrade import Asked, Refusal
from gateway.transports.websocket import WebSocketConnection
from gateway.transports.websockets import PATHS, Admitted, WebSockets
from shared.logs import log_of
from shared.refusals import refusing

log = log_of(__name__)

_BEGINNING = b"GET " + PATHS[0].encode()
_END_OF_HEAD = b"\r\n\r\n"
_LARGE_HEAD = 16 * 1024
"""Bytes of a head that are kept here until it is whole. A larger one is aiohttp's, or is refused."""
_LONG_FIELD = 8190
_MANY_FIELDS = 128
"""aiohttp's limits of a head."""
_MOST_BEHIND = 64 * 1024
"""Bytes behind a request for a WebSocket that are taken before it is answered."""
_GOODBYE_SECONDS = 2.0
_FAILED = Refusal(500)
_TOO_LARGE = Refusal(431)
"""RFC 6585 (5)."""


def _refuse(status: int, _: BaseException | None) -> web.Response:
    """Returns the answer to what is no HTTP request, or asks for what a gateway cannot do."""
    return web.Response(status=status, text=f"{HTTPStatus(status).phrase}\n", headers={hdrs.SERVER: "daveslist"})


class Hall:
    """What the doors of a node share."""

    def __init__(self, server: web.Server, websockets: WebSockets, head_seconds: float) -> None:
        self.server = server
        self.handlers = refusing(server, _refuse)
        """Makes aiohttp's handlers of connections."""
        self.websockets = websockets
        self.head_seconds = head_seconds
        """How long the first request on a connection may take to arrive."""
        self.loop = asyncio.get_running_loop()
        self.doors = 0
        self._waiting: OrderedDict[Door, float] = OrderedDict()
        """Connections on which no whole head has arrived, and when they end; the oldest first."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """The number of open TCP connections."""
        # The public `connections` of aiohttp's server would make a new list each time.
        return self.doors + self.websockets.count + len(self.server._connections)

    def came(self, door: Door) -> None:
        """A connection is open, and its first request is expected."""
        self.doors += 1
        self._waiting[door] = self.loop.time() + self.head_seconds
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self._end_late)

    def heard(self, door: Door) -> float:
        """A whole head has arrived, or a large part of one. Returns the loop time until which it must be whole."""
        return self._waiting.pop(door)

    def left(self, door: Door) -> None:
        """The connection has ended, or is no longer this door's."""
        self.doors -= 1
        self._waiting.pop(door, None)

    def _end_late(self) -> None:
        now = self.loop.time()
        self._timer = None
        while self._waiting:
            door, ends_at = next(iter(self._waiting.items()))
            if ends_at > now:
                self._timer = self.loop.call_at(ends_at, self._end_late)
                break
            del self._waiting[door]
            door.end()


class Door(asyncio.Protocol):
    """A connection until its first request has been read, and, if that asks for a WebSocket, answered."""

    __slots__ = ("_asked", "_behind", "_hall", "_has_ended", "_transport")

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._asked: Asked | None = None
        """The request for a WebSocket, while it is decided whether its client may connect."""
        self._behind = b""
        """What has arrived behind the request; before that, the beginning of a head."""
        self._has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not isinstance: uvloop's transports do not derive from asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._hall.came(self)

    def data_received(self, data: bytes) -> None:
        asked = self._asked
        if asked is not None:
            self._behind += data
            if len(self._behind) >= _MOST_BEHIND:
                self._transport.pause_reading()
            return
        if self._behind:
            data = self._behind + data
            self._behind = b""
        end = data.find(_END_OF_HEAD, 0, _LARGE_HEAD)
        if end < 0 and _begins_head(data):
            self._behind = data
            return
        ends_at = self._hall.heard(self)
        if end < 0 and len(data) >= _LARGE_HEAD and _is_beyond_limits(data):
            self._refuse(_TOO_LARGE)
            return
        asked = self._asked = self._request(data, end + len(_END_OF_HEAD)) if end >= 0 else None
        if asked is None:
            self._give_to_aiohttp(data, ends_at)
            return
        try:
            found = self._hall.websockets.endpoint.step(self._hall.websockets.admit(asked))
        except Exception:
            self._decided(asked, self._failed())
            return
        if type(found) is Suspended:
            found.task.add_done_callback(self._waited)
        else:
            self._decided(asked, found)

    def _request(self, data: bytes, end: int) -> Asked | None:
        """Returns the request that the data begin with, with a head up to `end`; None if it asks for no WebSocket."""
        if not data.startswith(_BEGINNING):
            return None
        # The limits of a head are the parser's own, which aiohttp's server also has.
        parser = HttpRequestParser(cast(Any, None), self._hall.loop, _MOST_BEHIND)
        try:
            messages, _, rest = parser.feed_data(data[:end])
        except HttpProcessingError:
            return None
        if len(messages) != 1 or rest:
            return None
        message, payload = messages[0]
        asked = Asked(message.headers, message.url, message.version, self._transport)
        if payload is not EMPTY_PAYLOAD or message.url.raw_path not in PATHS or not asked.is_upgrade:
            return None
        self._behind = data[end:]
        return asked

    def _give_to_aiohttp(self, data: bytes, ends_at: float) -> None:
        hall = self._hall
        handler = hall.handlers()
        self._transport.set_protocol(handler)
        handler.connection_made(self._transport)
        hall.left(self)
        handler.data_received(data)
        if not handler._request_count:
            hall.loop.call_at(ends_at, _end_if_unfinished, handler)

    def _waited(self, task: asyncio.Task[Admitted | Refusal]) -> None:
        assert self._asked is not None
        try:
            found = task.result()
        except asyncio.CancelledError:
            self._transport.abort()
        except Exception:
            self._decided(self._asked, self._failed())
        else:
            self._decided(self._asked, found)

    def _failed(self) -> Refusal:
        log.exception("a request for a WebSocket failed")
        return _FAILED

    def _decided(self, asked: Asked, found: Admitted | Refusal) -> None:
        transport = self._transport
        if transport.is_closing():
            # The client went away before it was admitted.
            return
        opened = self._hall.websockets.open(asked, found, transport)
        if isinstance(opened, WebSocketConnection):
            opened.begin(self._behind, self._has_ended)
            self._hall.left(self)
        else:
            self._refuse(opened)

    def _refuse(self, refusal: Refusal) -> None:
        self._transport.write(refusal.answer())
        Goodbye(self._transport, _GOODBYE_SECONDS, self._has_ended)

    def end(self) -> None:
        """No whole head has arrived in time."""
        self._transport.close()

    def eof_received(self) -> bool:
        """Returns True while the request is being decided, so that it can be answered."""
        self._has_ended = True
        return self._asked is not None

    def connection_lost(self, exc: Exception | None) -> None:
        self._hall.left(self)


def _begins_head(data: bytes) -> bool:
    """True if more of the data may make it a request of HTTP. What cannot be one is answered at once, by aiohttp."""
    return len(data) < _LARGE_HEAD and data[:1].isupper() and b"\n\n" not in data


def _is_beyond_limits(data: bytes) -> bool:
    """True if aiohttp would certainly refuse the head that the data begin with."""
    # A search for one byte is many times faster than one for two.
    for number, line in enumerate(data.split(b"\n", _MANY_FIELDS + 2)):
        if line == b"\r":
            return False
        if number > _MANY_FIELDS:
            return True
        if len(line) > _LONG_FIELD and len((line.partition(b":")[2] or line).strip()) > _LONG_FIELD:
            return True
    return False


def _end_if_unfinished(handler: web.RequestHandler) -> None:
    # Only this private field of aiohttp counts requests whose head is whole.
    if handler.transport is not None and not handler._request_count:
        handler.force_close()
