"""Each test gets its own Postgres (with fsync on) and Redis, which it may kill and freeze, and gateway nodes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from development.postgres import EmbeddedPostgres
from development.redis import EmbeddedRedis
from shared.settings import Settings
from tests.support.ports import free_port
from tests.support.processes import Node, Processes
from tests.support.scratch import scratch_directory
from tests.support.secret import JWT_SECRET
from tests.support.servers import copy_postgres


@dataclass
class World:
    """The servers and processes of one test, which may break them."""

    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    processes: Processes

    @property
    def redis_port(self) -> int:
        assert self.redis.port is not None
        return self.redis.port

    @property
    def settings(self) -> Settings:
        return self.processes.settings

    async def gateways(self, count: int, **environment: str) -> list[Node]:
        return list(await asyncio.gather(*(self.processes.gateway(**environment) for _ in range(count))))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = f"{Path(__file__).parent}{os.sep}"
    for item in items:
        # `item.path.parents` would make paths of all folders above each of thousands of tests.
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.servers)


@pytest.fixture
async def world(tmp_path: Path, fresh_postgres: Path) -> AsyncIterator[World]:
    with scratch_directory() as directory:
        copy_postgres(fresh_postgres, directory / "postgres")
        # The limits are small, so that Redis soon drops a node that does not read.
        limits = ("--client-output-buffer-limit", "pubsub 256kb 128kb 1")
        redis = EmbeddedRedis(directory / "redis", port=free_port(), options=limits)
        postgres = EmbeddedPostgres(directory / "postgres")
        try:
            await redis.start()
            await postgres.start()
            settings = Settings(
                database_url=postgres.url(),
                redis_url=redis.url,
                jwt_secrets=(JWT_SECRET,),
                data_directory=tmp_path / "data",
                rate_limits=False,
                database_timeout_seconds=1.5,
                redis_timeout_seconds=1.5,
                drain_seconds=0.5,
                shutdown_seconds=10.0,
            )
            processes = Processes(settings, tmp_path)
            try:
                yield World(postgres, redis, processes)
            finally:
                await processes.stop()
        finally:
            await postgres.stop()
            await redis.stop()
