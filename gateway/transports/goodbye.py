"""The end of a connection after its close frame: the client has some seconds to read the last frames and to close.

If a socket is closed while bytes from the client are unread, the system resets the connection, and the client loses
what it has not read yet. So this side stops sending, drops what still arrives, and waits for the client.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast


class Goodbye(asyncio.Protocol):
    """Replaces a transport's protocol after the last write. Cuts the connection after `seconds`.

    `has_ended` is True if the client has sent its last byte: then the connection ends when the last write has.
    """

    def __init__(self, transport: asyncio.Transport, seconds: float, has_ended: bool = False) -> None:
        loop = asyncio.get_running_loop()
        self._transport = transport
        self._before = cast(asyncio.Protocol, transport.get_protocol())
        self.ended: asyncio.Future[None] = loop.create_future()
        transport.set_protocol(self)
        self._timer = loop.call_later(seconds, transport.abort)
        if has_ended:
            transport.close()
            return
        with suppress(RuntimeError):
            # The previous protocol may have paused reading, in order not to read faster than it handles.
            transport.resume_reading()
        with suppress(RuntimeError, OSError):
            transport.write_eof()

    @property
    def unread_bytes(self) -> int:
        """Number of bytes that still wait to be sent to the client."""
        return 0 if self.ended.done() else self._transport.get_write_buffer_size()

    def cut(self) -> None:
        """End the connection now."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        pass

    def eof_received(self) -> None:
        """Returns None, so that the transport closes when the waiting bytes are sent."""

    def pause_writing(self) -> None:
        self._before.pause_writing()

    def resume_writing(self) -> None:
        self._before.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        if not self.ended.done():
            self.ended.set_result(None)
        self._before.connection_lost(exc)
