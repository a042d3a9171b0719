"""One connection to one Redis server, over which a node both publishes and hears its topics (RESP3).

Because everything travels on one connection, one broken connection is one event: whoever drives the link knows
exactly that something may have been missed, and how many of its own messages were never confirmed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence

from redis.asyncio import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

_SUBSCRIBED = (b"subscribe", b"ssubscribe")
_MESSAGE = (b"message", b"smessage")


class LinkCommands:
    """The names of the commands: those of one server, or the sharded ones of a cluster."""

    def __init__(self, *, sharded: bool) -> None:
        self.sharded = sharded
        prefix = "S" if sharded else ""
        self.publish = f"{prefix}PUBLISH"
        self.subscribe = f"{prefix}SUBSCRIBE"
        self.unsubscribe = f"{prefix}UNSUBSCRIBE"


class RedisLink:
    """Drives one connection. `on_message(channel, data)` and `on_subscribed(channel)` are called in order of arrival.

    A link that fails raises from `serve` and is not used again.
    """

    def __init__(
        self,
        connection: Connection,
        commands: LinkCommands,
        on_message: Callable[[bytes, bytes], None],
        on_subscribed: Callable[[bytes], None],
        on_refused: Callable[[ResponseError], None],
        timeout: float,
    ) -> None:
        self._connection = connection
        self._commands = commands
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._on_refused = on_refused
        self._timeout = timeout
        self.unanswered = 0
        """Commands that Redis has not answered: publishes and pings."""
        self.heard = 0.0
        """When something last arrived, in the loop's time; 0 before the first time."""

    async def open(self) -> None:
        """Connect and authenticate, within the timeout. Raises what redis-py raises, or TimeoutError."""
        async with asyncio.timeout(self._timeout):
            await self._connection.connect()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def subscribe(self, channels: Sequence[bytes]) -> None:
        await self._send(self._for_each(self._commands.subscribe, channels))

    async def unsubscribe(self, channels: Sequence[bytes]) -> None:
        await self._send(self._for_each(self._commands.unsubscribe, channels))

    def _for_each(self, name: str, channels: Sequence[bytes]) -> list[tuple[str | bytes, ...]]:
        # A sharded command takes the channels of one hash slot only.
        return [(name, channel) for channel in channels] if self._commands.sharded else [(name, *channels)]

    async def publish(self, messages: Iterable[tuple[bytes, bytes]]) -> None:
        """Write the messages at once; their confirmations are only counted."""
        name = self._commands.publish
        commands = [(name, channel, data) for channel, data in messages]
        self.unanswered += len(commands)
        await self._send(commands)

    async def _send(self, commands: Sequence[tuple[str | bytes, ...]]) -> None:
        packed = self._connection.pack_commands(commands)
        await self._connection.send_packed_command(packed, check_health=False)

    async def serve(self) -> None:
        """Read until the link fails, and notice when it is silent. Raises; never returns."""
        self.heard = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            tasks.create_task(self._watch())

    async def _read(self) -> None:
        now = asyncio.get_running_loop().time
        read = self._connection.read_response
        while True:
            try:
                answer = await read(timeout=math.inf, disconnect_on_error=False, push_request=True)
            except ResponseError as error:
                self._on_refused(error)
                self.unanswered -= 1
                continue
            self.heard = now()
            if type(answer) is int or not isinstance(answer, list):
                self.unanswered -= 1
                continue
            kind = answer[0]
            if kind in _MESSAGE:
                self._on_message(answer[1], answer[2])
            elif kind in _SUBSCRIBED:
                self._on_subscribed(answer[1])

    async def _watch(self) -> None:
        """A server that stopped without a word leaves its connection open: ask, and give up where nothing answers."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._timeout / 3)
            if self.unanswered > 0 and loop.time() - self.heard > self._timeout:
                raise RedisConnectionError(f"nothing heard for {self._timeout} s")
            self.unanswered += 1
            await self._send([("PING",)])
