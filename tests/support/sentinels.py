"""Redis Sentinel for tests: a master, a replica, and three sentinels that fail over within about a second."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis as SyncRedis
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from development import child
from development.redis import EmbeddedRedis, program
from development.server import Server
from tests.support.ports import free_port
from tests.support.servers import run

SERVICE = "cars"
PATIENCE_SECONDS = 60.0
DEBUG = ("INFO-PERIOD", "200", "PUBLISH-PERIOD", "200", "PING-PERIOD", "100", "TILT-TRIGGER", "600000")
DOWN_AFTER_MILLISECONDS = 500
"""A server that is silent for this long is down for a sentinel."""


class Sentinel(Server):
    """One sentinel. After `kill`, `start` starts it with what it knew."""

    def __init__(self, directory: Path, lines: Sequence[str]) -> None:
        self.port = free_port()
        self._directory = directory
        self._lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {directory}", *lines]

    async def start(self) -> None:
        configuration = self._directory / "sentinel.conf"
        if not configuration.exists():
            self._directory.mkdir()
            configuration.write_text("\n".join(self._lines) + "\n", encoding="utf-8")
        with (self._directory / "log").open("ab") as log:
            self._process = child.spawn(
                [program(), configuration, "--sentinel"], death_signal=signal.SIGKILL, output=log
            )
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    # It looks and speaks more often than by default. A pause of the machine must not stop its work.
                    await self.command("SENTINEL", "DEBUG", *DEBUG)
                    return
                except RedisConnectionError:
                    assert self.is_running, (self._directory / "log").read_text()
                    await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self._process is not None:
            await child.stop(self._process, (signal.SIGTERM, 5.0))
            self._process = None

    async def command(self, *command: str) -> Any:
        client: Any
        async with Redis(host="127.0.0.1", port=self.port, protocol=2) as client:
            return await client.execute_command(*command, NEVER_DECODE=True)

    async def knows_all(self, sentinels: int) -> bool:
        facts = _pairs(await self.command("SENTINEL", "MASTER", SERVICE))
        return facts["num-slaves"] == "1" and facts["num-other-sentinels"] == str(sentinels - 1)

    async def master_port(self) -> int:
        return int((await self.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE))[1])


class SentinelServers:
    """`servers[0]` is the master at first, `servers[1]` its replica. `sentinels` watch them."""

    def __init__(self, directory: Path, *, host: str = "127.0.0.1", lines: Sequence[str] = ()) -> None:
        """`host` is how the sentinels know and name the servers."""
        ports = free_port(), free_port()
        options = [["--replica-announce-ip", host], ["--replica-announce-ip", host, "--replicaof", host, str(ports[0])]]
        self.servers = [
            EmbeddedRedis(
                directory / str(number),
                port=port,
                options=[*options[number], "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"],
            )
            for number, port in enumerate(ports)
        ]
        watched = [
            *lines,
            f"sentinel monitor {SERVICE} {host} {ports[0]} 2",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MILLISECONDS}",
            f"sentinel failover-timeout {SERVICE} 4000",
        ]
        self.sentinels = [Sentinel(directory / f"sentinel{number}", watched) for number in range(3)]

    @property
    def hosts(self) -> str:
        return ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)

    @property
    def url(self) -> str:
        return f"redis+sentinel://{self.hosts}/{SERVICE}"

    async def start(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            for server in self.servers:
                await server.start()
            await self.until_replicating(1)
            await asyncio.gather(*(sentinel.start() for sentinel in self.sentinels))
            for sentinel in self.sentinels:
                await self._until(partial(sentinel.knows_all, len(self.sentinels)))

    async def stop(self) -> None:
        await asyncio.gather(*(sentinel.stop() for sentinel in self.sentinels))
        await asyncio.gather(*(server.stop() for server in self.servers))

    def empty(self) -> None:
        """Remove everything in Redis; the first server must be the master."""
        with closing(SyncRedis.from_url(self.servers[0].url)) as client:
            client.flushall()

    async def fail_over(self, to: int) -> None:
        """Make this server the master while the other one is well. Returns when all sentinels name it."""

        async def is_over() -> bool:
            [first, *_] = self.sentinels
            if await first.master_port() == self.servers[to].port:
                return True
            try:
                await first.command("SENTINEL", "FAILOVER", SERVICE)
            except RedisError as error:
                # It may not have heard yet that the replica is well, or be at it; on a slow machine it may give up.
                if "NOGOODSLAVE" not in str(error) and "INPROG" not in str(error):
                    raise
            return False

        await self._until(is_over)
        await self.named(to)

    async def named(self, number: int) -> None:
        """Wait until all sentinels that run name this server as the master."""

        async def is_named() -> bool:
            ports = [await one.master_port() for one in self.sentinels if one.is_running]
            return set(ports) == {self.servers[number].port}

        await self._until(is_named)

    async def until_replicating(self, number: int) -> None:
        """Wait until this server has all that the master has."""

        async def is_replicating() -> bool:
            async with Redis.from_url(self.servers[number].url) as client:
                return bool((await client.info("replication")).get("master_link_status") == "up")

        await self._until(is_replicating)

    @staticmethod
    async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
        # Neither servers nor sentinels announce what they have noticed.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await condition():  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def _pairs(answer: Sequence[bytes]) -> dict[str, str]:
    texts = [text.decode() for text in answer]
    return dict(zip(texts[::2], texts[1::2], strict=True))


@contextmanager
def running_sentinels(**options: Any) -> Iterator[SentinelServers]:
    directory = Path(tempfile.mkdtemp(prefix="daveslist-tests-", dir="/tmp"))
    servers = SentinelServers(directory, **options)
    try:
        run(servers.start())
        yield servers
    finally:
        run(servers.stop())
        shutil.rmtree(directory)
