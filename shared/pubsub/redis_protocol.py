"""One connection to Redis as an asyncio protocol: reads RESP3 pushes and answers, writes commands without a task.

redis-py connects, authenticates and starts TLS. Then this module takes the connection over, because it reads and writes
messages at a fraction of redis-py's cost. It knows nothing of what is published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hiredis import HiredisError, PushNotification, Reader, ReplyError
from redis.asyncio import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, ResponseError

_NOT_ENOUGH = object()
_AWAY = ("LOADING", "MASTERDOWN", "NOAUTH", "WRONGPASS")
"""Errors of a server that executes no command on this connection."""


class RedisProtocol(asyncio.Protocol):
    """Calls `on_push(parts)`, `on_answer()`, `on_hello(answer)` and `on_refused(error)` in the order of arrival.

    RedisConnectionError from a callback ends the connection.
    """

    def __init__(
        self,
        on_push: Callable[[list[Any]], None],
        on_answer: Callable[[], None],
        on_hello: Callable[[dict[Any, Any]], None],
        on_refused: Callable[[ResponseError], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._on_push = on_push
        self._on_answer = on_answer
        self._on_hello = on_hello
        self._on_refused = on_refused
        self._read = Reader(notEnoughData=_NOT_ENOUGH)
        self._time = loop.time
        self._transport: asyncio.WriteTransport | None = None
        self._writable: asyncio.Future[None] | None = None
        self.heard = loop.time()
        """Loop time of the last arrival."""
        self.ended: asyncio.Future[None] = loop.create_future()
        """Fails with the error that ended the connection."""

    def take_over(self, connection: Connection) -> None:
        """Take over a connection that is open and has no unanswered command."""
        assert connection._writer is not None
        assert connection._reader is not None
        transport = connection._writer.transport
        self._transport = transport
        transport.set_protocol(self)
        if connection._reader.at_eof() or transport.is_closing():
            self._end(RedisConnectionError("closed by Redis"))

    def write(self, data: bytes) -> None:
        """Write without waiting; await `drained` after writing much. Raises RedisConnectionError after the end."""
        if self._transport is None or self.ended.done():
            raise RedisConnectionError("the connection has ended")
        self._transport.write(data)

    async def drained(self) -> None:
        """Returns when few enough bytes wait to be sent."""
        if self._writable is not None:
            await self._writable

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._end(RedisConnectionError("closed"))
        # Retrieve the error, or asyncio would log that it was never retrieved.
        self.ended.exception()

    # From the transport

    def data_received(self, data: bytes) -> None:
        self.heard = self._time()
        read = self._read
        try:
            read.feed(data)
            while (answer := read.gets()) is not _NOT_ENOUGH:
                kind = type(answer)
                if kind is PushNotification:
                    self._on_push(answer)
                elif kind is ReplyError:
                    self._on_refused(_error(str(answer)))
                elif kind is dict:
                    # The only answer with names that the link asks for.
                    self._on_hello(answer)
                else:
                    self._on_answer()
        except (HiredisError, RedisConnectionError) as error:
            self._end(RedisConnectionError(str(error)))

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def connection_lost(self, error: Exception | None) -> None:
        self._end(RedisConnectionError(str(error) if error else "closed by Redis"))

    def _end(self, error: Exception) -> None:
        self.resume_writing()
        if not self.ended.done():
            self.ended.set_exception(error)


def _error(text: str) -> ResponseError:
    """Returns the error as redis-py names it. Raises RedisConnectionError if the server executes no command now."""
    code, _, rest = text.partition(" ")
    if code in _AWAY:
        raise RedisConnectionError(text)
    return MovedError(rest) if code == "MOVED" else ResponseError(text)
