"""Connections to the one Redis server that takes writes: the master of a single URL, or of a service of sentinels.

A server may become a replica while its connections stay open, and then it still answers: it refuses writes, but takes a
PUBLISH that reaches nobody else. So these connections ask the server for its role when they open, and again now and
then; a replica ends them, and the next connection looks the address up anew (by DNS, or by the sentinels).

HELLO tells the role. Unlike ROLE and INFO, every user may call it.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError

from shared.redis_sentinels import Master, Sentinels

ROLE_SECONDS = 3.0
"""Before a command, a server is asked for its role if it has not been asked for so long."""
SLACK_SECONDS = 2.0
"""Sentinels tell each other of a new master at least this often."""


class NotMaster(RedisConnectionError):
    """The server is a replica, or the sentinels name another master."""


def check_role(hello: Any) -> None:
    """Raise NotMaster if the answer to HELLO is that of a replica."""
    facts = hello if isinstance(hello, dict) else dict(zip(hello[::2], hello[1::2], strict=False))
    if facts.get(b"role", facts.get("role")) in (b"replica", b"slave", "replica", "slave"):
        raise NotMaster("the server is a replica")


class NamedConnection(AbstractConnection):
    """Connects also if its user may not give it a name. redis-py gives such a connection up.

    Only CLIENT LIST needs the name.
    """

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        name, self.client_name = self.client_name, None
        try:
            await super().on_connect_check_health(check_health=check_health)
        finally:
            self.client_name = name
        if name:
            await self.send_command("CLIENT", "SETNAME", name, check_health=False)
            with suppress(ResponseError):
                await self.read_response()


class NamedTcpConnection(NamedConnection, Connection):
    """To a server of a cluster."""


class NamedTlsConnection(NamedConnection, SSLConnection):
    """To a server of a cluster, over TLS."""


class MasterConnection(NamedConnection):
    """Ends when its server is no longer the master. redis-py then connects again, once for each command."""

    _ask_at = 0.0
    """Loop time at which the role is asked for again."""

    @property
    def is_left(self) -> bool:
        """Whether another server is known to be the master."""
        return False

    @property
    def has_sentinels(self) -> bool:
        """Whether sentinels may make another server the master while this one still answers as the master."""
        return False

    @property
    def confirmed_at(self) -> float:
        """Loop time. Until then this server was certainly the master: infinite if there are no sentinels, and minus
        infinite if they have not confirmed it yet."""
        return math.inf

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        await super().on_connect_check_health(check_health=check_health)
        await self._check_role()

    async def check_health(self) -> None:
        """Called before each command."""
        if self.is_left or asyncio.get_running_loop().time() >= self._ask_at:
            await self.retry.call_with_retry(self._check_role, self._ping_failed, with_failure_count=True)

    async def _check_role(self) -> None:
        if self.is_left:
            await self.disconnect(nowait=True)
            raise NotMaster("the sentinels name another master")
        await self.send_command("HELLO", check_health=False)
        hello = await self.read_response(disable_decoding=True)
        try:
            check_role(hello)
        except NotMaster:
            await self.disconnect(nowait=True)
            raise
        self._ask_at = asyncio.get_running_loop().time() + ROLE_SECONDS

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except ResponseError as error:
            # Redis before 7 names a script's error in its text only.
            if not isinstance(error, ReadOnlyError) and "READONLY" not in str(error):
                raise
            await self.disconnect(nowait=True)
            raise NotMaster("the server has become a replica") from None


class TcpConnection(MasterConnection, Connection):
    """To one server."""


class TlsConnection(MasterConnection, SSLConnection):
    """To one server, over TLS."""


class UnixConnection(MasterConnection, UnixDomainSocketConnection):
    """To one server on this machine."""


class FollowingConnection(TcpConnection):
    """To the master that the sentinels name each time it connects. It is left when they name another one.

    redis-py's SentinelManagedConnection asks in `connect` only, and so a command that finds it closed may go to the old
    master (redis-py's issue 3874).
    """

    def __init__(self, *, sentinels: Sentinels, **options: Any) -> None:
        super().__init__(**options)
        self._sentinels = sentinels
        self._is_left = False
        self._confirmed_at = -math.inf

    @property
    def is_left(self) -> bool:
        return self._is_left

    @property
    def has_sentinels(self) -> bool:
        return True

    @property
    def confirmed_at(self) -> float:
        return self._confirmed_at - SLACK_SECONDS

    def hear(self, master: Master, asked_at: float) -> None:
        """The sentinels have named this master when they were asked at this loop time."""
        if master.address != (self.host, self.port):
            self._is_left = True
        elif master.is_confirmed:
            self._confirmed_at = asked_at

    async def _connect(self) -> None:
        asked_at = asyncio.get_running_loop().time()
        master = await self._sentinels.master()
        self.host, self.port = master.address
        await super()._connect()  # type: ignore[no-untyped-call]
        self._is_left = False
        self._confirmed_at = asked_at if master.is_confirmed else -math.inf
        self._sentinels.follow(self)

    async def disconnect(self, *args: Any, **options: Any) -> None:
        await self._sentinels.unfollow(self)
        await super().disconnect(*args, **options)


class FollowingTlsConnection(FollowingConnection, TlsConnection):
    """The same over TLS."""
