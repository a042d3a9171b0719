"""Asks Redis Sentinels for the address of a service's master, and watches whether they name another one.

All sentinels are asked at the same time, so one that is away or frozen delays nothing. The master is the one that most
of those name that answer; if none answers, the last known one. But only a majority of all sentinels confirms it: those
that do not answer may have made another server the master.

redis-py's own `Sentinel` asks them in turn, each with its whole timeout, needs the right to SENTINEL MASTERS, gives up
at the first that refuses it, and cannot tell an unknown service from sentinels that are away.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol
from weakref import WeakSet

from redis.asyncio import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from shared.logs import log_of

log = log_of(__name__)

Address = tuple[str, int]
"""Host and port. The host may be a name: sentinels with `announce-hostnames` give one."""


class Master(NamedTuple):
    """What the sentinels say."""

    address: Address
    is_confirmed: bool
    """Whether a majority of all sentinels has just named it."""


ASK_SECONDS = 1.0
"""A sentinel that has not answered for so long counts as away."""
WATCH_SECONDS = 1.0
"""While a connection is open, the sentinels are asked this often whether another server has become the master."""
LATE_SECONDS = 0.2
"""Then a sentinel may answer so much later than most of the others. After that, its connection is opened anew."""


class NoMaster(RedisConnectionError):
    """The sentinels name no master. The message says why."""


class UnknownService(NoMaster):
    """The sentinels do not know the service."""


class Follower(Protocol):
    """A connection that wants to know whether its server is still the master."""

    def hear(self, master: Master, asked_at: float) -> None:
        """The sentinels have named this master when they were asked at this loop time."""


class Sentinels:
    """The sentinels of one service. Connections to them stay open only while there are followers."""

    def __init__(
        self, addresses: Sequence[Address], service: str, connection_class: type[Connection], options: dict[str, Any]
    ) -> None:
        """Class and options are redis-py's, for connections to the sentinels."""
        self.service = service
        self._class = connection_class
        self._addresses = tuple(dict.fromkeys(addresses))
        self._options = {
            **options,
            "protocol": 2,
            # No CLIENT SETINFO: a sentinel's user may have the right to the one question only.
            "driver_info": None,
            "socket_timeout": ASK_SECONDS,
            "socket_connect_timeout": ASK_SECONDS,
        }
        self._last: Address | None = None
        self._refusals: dict[str, None] = {}
        """Why sentinels did not answer the last question; each reason once."""
        self._followers: WeakSet[Follower] = WeakSet()
        self._watching: asyncio.Task[None] | None = None

    async def master(self) -> Master:
        """Returns the master, the last known one if no sentinel answers.

        Raises NoMaster, or UnknownService if most sentinels know no such service.
        """
        async with self._connections() as connections:
            votes = await self._ask(connections)
        master = self._named(votes)
        if master is not None:
            self._last = master.address
            return master
        if self._is_majority(votes[None]):
            raise UnknownService(f"the sentinels know no service {self.service!r}")
        if self._last is not None:
            return Master(self._last, is_confirmed=False)
        raise NoMaster(
            f"no sentinel names a master of {self.service!r}: {'; '.join(self._refusals) or 'they disagree'}"
        )

    def follow(self, follower: Follower) -> None:
        """Call the follower's `hear` now and then, until `unfollow`."""
        self._followers.add(follower)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.get_running_loop().create_task(self._watch(), name="redis sentinels")

    async def unfollow(self, follower: Follower) -> None:
        """After the last follower has gone, the connections to the sentinels are closed when this returns."""
        self._followers.discard(follower)
        if not self._followers and self._watching is not None:
            watching, self._watching = self._watching, None
            watching.cancel()
            # redis-py closes connections also where no task runs, in which nothing can be awaited.
            if asyncio.current_task() is not None:
                await asyncio.wait([watching])

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._connections() as connections:
            while self._followers:
                await asyncio.sleep(WATCH_SECONDS)
                asked_at = loop.time()
                master = self._named(await self._ask(connections, LATE_SECONDS))
                if master is None:
                    continue
                if self._last != master.address:
                    log.info("redis sentinels name another master", service=self.service)
                self._last = master.address
                for follower in list(self._followers):
                    follower.hear(master, asked_at)

    @asynccontextmanager
    async def _connections(self) -> AsyncIterator[list[Connection]]:
        """Yields a connection to each sentinel, which connects on first use, and again after an error."""
        connections = [self._class(host=host, port=port, **self._options) for host, port in self._addresses]
        try:
            yield connections
        finally:
            for connection in connections:
                await connection.disconnect(nowait=True)

    async def _ask(self, connections: Sequence[Connection], late_seconds: float = 0.0) -> Counter[Address | None]:
        """Returns how many sentinels name which master; None stands for an unknown service.

        When most have said the same, it waits `late_seconds` for the others, and closes the connections of those that
        have not answered.
        """
        votes: Counter[Address | None] = Counter()
        self._refusals.clear()
        asked = {asyncio.ensure_future(self._ask_one(connection)) for connection in connections}
        try:
            while asked and not any(self._is_majority(count) for count in votes.values()):
                done, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    if one.exception() is None:
                        votes[one.result()] += 1
            if asked and late_seconds:
                _, asked = await asyncio.wait(asked, timeout=late_seconds)
        finally:
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return votes

    async def _ask_one(self, connection: Connection) -> Address | None:
        try:
            await connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)
            answer = await connection.read_response()
        except (RedisError, OSError, TimeoutError) as error:
            self._refusals[f"{type(error).__name__}: {error}"] = None
            raise
        if not answer:
            return None
        host, port = answer
        return host.decode() if isinstance(host, bytes) else host, int(port)

    def _named(self, votes: Counter[Address | None]) -> Master | None:
        address = _most(votes)
        return None if address is None else Master(address, self._is_majority(votes[address]))

    def _is_majority(self, count: int) -> bool:
        return 2 * count > len(self._addresses)


def _most(votes: Counter[Address | None]) -> Address | None:
    """Returns the master that more sentinels name than any other; None if there is no such one."""
    named = Counter({address: count for address, count in votes.items() if address is not None}).most_common(2)
    if not named or (len(named) == 2 and named[0][1] == named[1][1]):
        return None
    return named[0][0]
