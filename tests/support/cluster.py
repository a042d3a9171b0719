"""A Redis Cluster for tests: masters with a replica each, on free ports, in folders that are removed at the end."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from development.redis import EmbeddedRedis
from tests.support.ports import free_port
from tests.support.servers import run

SLOTS = 16384
START_SECONDS = 30.0
NODE_TIMEOUT_MILLISECONDS = 1000
"""The cluster fails a master over after it has been silent for this long."""


class ClusterServers:
    """A cluster in which `masters[n]` has the replica `replicas[n]`."""

    def __init__(self, directory: Path, masters: int) -> None:
        # The default port of the bus is the server's port plus 10000, which may be too large for a port.
        self._bus = [free_port() for _ in range(2 * masters)]
        self._servers = [_server(directory / str(number), bus) for number, bus in enumerate(self._bus)]
        self.masters = self._servers[:masters]
        self.replicas = self._servers[masters:]

    @property
    def url(self) -> str:
        return self.masters[0].url.replace("redis://", "redis+cluster://")

    async def start(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            await asyncio.gather(*(server.start() for server in self._servers))
            first = _port(self.masters[0])
            for number, server in enumerate(self.masters):
                start, end = (SLOTS * part // len(self.masters) for part in (number, number + 1))
                await _command(server, "CLUSTER", "ADDSLOTSRANGE", start, end - 1)
            for server in self._servers[1:]:
                await _command(server, "CLUSTER", "MEET", "127.0.0.1", first, self._bus[0])
            for master, replica in zip(self.masters, self.replicas, strict=True):
                identifier = await _command(master, "CLUSTER", "MYID")
                await _until(replica, lambda info, wanted=identifier: wanted in info, "CLUSTER", "NODES")
                await _command(replica, "CLUSTER", "REPLICATE", identifier)
            for server in self._servers:
                await _until(server, lambda info: b"cluster_state:ok" in info, "CLUSTER", "INFO")
            for replica in self.replicas:
                await _until(replica, lambda info: info.get("master_link_status") == "up", "INFO", "replication")
            known = [f":{_port(server)}@".encode() for server in self._servers]
            for server in self._servers:
                await _until(server, lambda info: info.count(b"slave ") == len(self.replicas), "CLUSTER", "NODES")
                await _until(server, lambda info: all(port in info for port in known), "CLUSTER", "NODES")

    async def hold_back(self, number: int) -> None:
        """Keep the replica from taking its master's place, until `let_go`."""
        await _command(self.replicas[number], "CONFIG", "SET", "cluster-replica-no-failover", "yes")

    async def let_go(self, number: int) -> None:
        """Let the replica of a lost master take its place, and wait until it has."""
        await _command(self.replicas[number], "CONFIG", "SET", "cluster-replica-no-failover", "no")
        await _until(self.replicas[number], lambda info: b"myself,master" in info, "CLUSTER", "NODES")

    async def has_no_master_of(self, number: int) -> None:
        """Wait until the cluster has noticed that this master is lost."""
        port = f":{_port(self.masters[number])}@".encode()
        await _until(
            self.masters[0],
            lambda info: any(port in line and b"master,fail " in line for line in info.splitlines()),
            "CLUSTER",
            "NODES",
        )

    async def move_slot(self, slot: int) -> None:
        """Move a slot without keys from the first master to another one."""
        first = self.masters[0]
        server = await self._other_master()
        here, there = [await _command(one, "CLUSTER", "MYID") for one in (first, server)]
        await _command(server, "CLUSTER", "SETSLOT", slot, "IMPORTING", here)
        await _command(first, "CLUSTER", "SETSLOT", slot, "MIGRATING", there)
        for one in (server, first):
            await _command(one, "CLUSTER", "SETSLOT", slot, "NODE", there)

    async def _other_master(self) -> EmbeddedRedis:
        for server in [*self.masters[1:], *self.replicas[1:]]:
            try:
                if b"myself,master" in await _command(server, "CLUSTER", "NODES"):
                    return server
            except RedisConnectionError:
                continue
        raise AssertionError("no other master is up")

    async def stop(self) -> None:
        await asyncio.gather(*(server.stop() for server in self._servers))


def _server(directory: Path, bus: int) -> EmbeddedRedis:
    options = ["--cluster-enabled", "yes", "--cluster-port", str(bus)]
    options += ["--cluster-node-timeout", str(NODE_TIMEOUT_MILLISECONDS)]
    return EmbeddedRedis(directory, port=free_port(), options=options)


def _port(server: EmbeddedRedis) -> int:
    return int(server.url.rpartition(":")[2].partition("/")[0])


async def _command(server: EmbeddedRedis, *command: Any) -> Any:
    client: Any
    async with Redis.from_url(server.url) as client:
        return await client.execute_command(*command, NEVER_DECODE=True)


async def _until(server: EmbeddedRedis, condition: Any, *command: str) -> None:
    # A cluster does not announce that it is ready.
    while not condition(await _command(server, *command)):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


@contextmanager
def running_cluster(masters: int = 3) -> Iterator[ClusterServers]:
    directory = Path(tempfile.mkdtemp(prefix="daveslist-tests-", dir="/tmp"))
    servers = ClusterServers(directory, masters)
    try:
        run(servers.start())
        yield servers
    finally:
        run(servers.stop())
        shutil.rmtree(directory)
