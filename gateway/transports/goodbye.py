"""The end of a connection behind its close frame: the client reads what was sent before, and hangs up; in time.

Closed at once, a socket with unread bytes of the client is reset, and the reset takes along what the client has not
read yet. So this side says that it sends no more, passes over what still comes, and waits.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast


class Goodbye(asyncio.Protocol):
    """Takes the place of a transport's protocol, after the last write. Past `seconds` the connection is cut."""

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._transport = transport
        self._before = cast(asyncio.Protocol, transport.get_protocol())
        self.ended: asyncio.Future[None] = loop.create_future()
        transport.set_protocol(self)
        self._timer = loop.call_later(seconds, transport.abort)
        with suppress(RuntimeError):
            # The one before may have stopped reading, to read no faster than it handled.
            transport.resume_reading()
        with suppress(RuntimeError, OSError):
            transport.write_eof()

    @property
    def unread_bytes(self) -> int:
        """What still waits for the client."""
        return 0 if self.ended.done() else self._transport.get_write_buffer_size()

    def cut(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        pass

    def eof_received(self) -> None:
        """The transport closes, when what waits is sent."""

    def pause_writing(self) -> None:
        self._before.pause_writing()

    def resume_writing(self) -> None:
        self._before.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        if not self.ended.done():
            self.ended.set_result(None)
        self._before.connection_lost(exc)
