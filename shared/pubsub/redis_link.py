"""One connection to one Redis server, on which a node both publishes and receives (RESP3).

Because everything travels on one connection, the broker knows after a break since when messages may have been missed,
and whether Redis has confirmed everything that was published.

The link of a single server also ends when that server is no longer the master: a replica would take what is published,
and pass it on to nobody who is subscribed at the master.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from shared.pubsub.redis_protocol import RedisProtocol
from shared.redis_connections import MasterConnection, NotMaster, check_role

_SUBSCRIBED = (b"subscribe", b"ssubscribe")
_UNSUBSCRIBED = (b"unsubscribe", b"sunsubscribe")
_MESSAGE = (b"message", b"smessage")
_pack: Callable[[tuple[bytes, ...]], bytes] = pack_command  # type: ignore[assignment]
_PING = _pack((b"PING",))
_HELLO = _pack((b"HELLO",))


class LinkCommands:
    """The names of the commands: PUBLISH etc. for one server, SPUBLISH etc. for a cluster."""

    def __init__(self, *, sharded: bool) -> None:
        self.sharded = sharded
        prefix = b"S" if sharded else b""
        self.publish = prefix + b"PUBLISH"
        self.subscribe = prefix + b"SUBSCRIBE"
        self.unsubscribe = prefix + b"UNSUBSCRIBE"


class RedisLink:
    """Drives one connection. The callbacks are called in the order of Redis's answers.

    A link that fails raises from `serve` and is not used again.
    """

    def __init__(
        self,
        connection: Connection,
        commands: LinkCommands,
        *,
        on_message: Callable[[bytes, bytes], None],
        on_subscribed: Callable[[bytes], None],
        on_unsubscribed: Callable[[bytes], None],
        on_refused: Callable[[ResponseError], None],
        timeout: float,
    ) -> None:
        """Callbacks: `on_message(channel, data)`, `on_subscribed(channel)`, `on_unsubscribed(channel)`, and
        `on_refused(error)`, which may raise RedisConnectionError to end the link."""
        self._connection = connection
        self._master = connection if isinstance(connection, MasterConnection) else None
        """The connection, if it can say whether its server is still the master. A cluster's says so by itself."""
        # A server answers HELLO like a ping, and says in the answer whether it has become a replica.
        self._ping = _HELLO if self._master is not None else _PING
        self._commands = commands
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._on_unsubscribed = on_unsubscribed
        self._on_refused = on_refused
        self._timeout = timeout
        self._protocol: RedisProtocol | None = None
        self.unanswered = 0
        """Number of publishes and pings that Redis has not answered."""
        self.all_answered = asyncio.Event()
        """Set while `unanswered` is 0."""
        self.all_answered.set()
        self.complete_until = 0.0
        """Loop time. Everything that Redis sent before it has arrived, and everything written before it is answered by
        the master; 0 while unknown.

        It is not the time of the last arrival: after a pause of this process, what arrives may be old.
        """
        self._asked_at = 0.0
        self._answers_to_come = 0

    @property
    def may_have_lost(self) -> bool:
        """Whether something that was written since `complete_until` may not have reached the master."""
        return self.unanswered > 0 or (self._master is not None and self._master.has_sentinels)

    @property
    def heard(self) -> float:
        """Loop time of the last arrival; 0 before the first."""
        return 0.0 if self._protocol is None else self._protocol.heard

    async def open(self) -> None:
        """Connect and authenticate. Raises RedisError, OSError, or TimeoutError after the timeout."""
        async with asyncio.timeout(self._timeout):
            await self._connection.connect()  # type: ignore[no-untyped-call]
        self._protocol = RedisProtocol(self._pushed, self._answered, self._greeted, self._was_refused)
        self._protocol.take_over(self._connection)

    async def close(self) -> None:
        """Close the connection at once."""
        if self._protocol is not None:
            self._protocol.close()
        await self._connection.disconnect(nowait=True)

    async def subscribe(self, channels: Sequence[bytes]) -> None:
        """Write the command; `on_subscribed` is called for each channel later."""
        await self._for_each(self._commands.subscribe, channels)

    async def unsubscribe(self, channels: Sequence[bytes]) -> None:
        """Write the command; `on_unsubscribed` is called for each channel later."""
        await self._for_each(self._commands.unsubscribe, channels)

    async def _for_each(self, name: bytes, channels: Sequence[bytes]) -> None:
        # A sharded command takes channels of one hash slot only.
        if self._commands.sharded:
            await self._write(b"".join([_pack((name, channel)) for channel in channels]))
        else:
            await self._write(_pack((name, *channels)))

    async def publish(self, messages: Iterable[tuple[bytes, bytes]]) -> None:
        """Write the messages at once. Their answers are counted, not waited for."""
        name = self._commands.publish
        commands = [_pack((name, channel, data)) for channel, data in messages]
        self.unanswered += len(commands)
        self.all_answered.clear()
        await self._write(b"".join(commands))

    async def _write(self, data: bytes) -> None:
        assert self._protocol is not None, "not open"
        self._protocol.write(data)
        await self._protocol.drained()

    async def serve(self) -> None:
        """Never returns. Raises RedisConnectionError when the link fails, or when Redis does not answer in time."""
        assert self._protocol is not None, "not open"
        self._is_complete_until(asyncio.get_running_loop().time())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            # Shielded: cancelling this wait must not cancel the future, which belongs to the connection.
            await asyncio.shield(self._protocol.ended)

    async def _watch(self) -> None:
        """Ping regularly: a server that freezes or is cut off leaves the connection open and silent."""
        assert self._protocol is not None, "not open"
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._timeout / 3)
            if self.unanswered > 0 and loop.time() - self.heard > self._timeout:
                raise RedisConnectionError(f"nothing heard for {self._timeout} s")
            if self._master is not None and self._master.is_left:
                raise NotMaster("the sentinels name another master")
            self.unanswered += 1
            self.all_answered.clear()
            if not self._answers_to_come:
                # Redis answers in order: when it answers this ping, everything published before it has arrived.
                self._asked_at, self._answers_to_come = loop.time(), self.unanswered
            # Do not await the drain: it never comes if a silent server takes no more bytes.
            self._protocol.write(self._ping)

    # What arrives

    def _pushed(self, parts: list[Any]) -> None:
        kind = parts[0]
        if kind in _MESSAGE:
            self._on_message(parts[1], parts[2])
        elif kind in _SUBSCRIBED:
            self._on_subscribed(parts[1])
        elif kind in _UNSUBSCRIBED:
            self._on_unsubscribed(parts[1])

    def _answered(self) -> None:
        self.unanswered -= 1
        if self.unanswered <= 0:
            self.all_answered.set()
        if self._answers_to_come:
            self._answers_to_come -= 1
            if not self._answers_to_come:
                self._is_complete_until(self._asked_at)

    def _is_complete_until(self, moment: float) -> None:
        """Nothing from before this loop time is missing, if the server was the master then."""
        confirmed_at = math.inf if self._master is None else self._master.confirmed_at
        self.complete_until = max(self.complete_until, min(moment, confirmed_at))

    def _greeted(self, hello: dict[Any, Any]) -> None:
        check_role(hello)
        self._answered()

    def _was_refused(self, error: ResponseError) -> None:
        self._on_refused(error)
        self._answered()
