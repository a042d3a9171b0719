"""A real Postgres and a real Redis for each test worker, and a database for each test that asks for one."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg2
import psycopg2.extensions
from redis import Redis

from development.postgres import OWNER, SUPERUSER, EmbeddedPostgres
from development.redis import EmbeddedRedis
from shared.postgres.schema import apply_schema
from shared.settings import Settings
from tests.support.scratch import scratch_directory

T = TypeVar("T")
TEMPLATE = "template_with_schema"


class Servers:
    """One Postgres and one Redis. Whatever a test makes in them is removed after the test."""

    def __init__(self, directory: Path, options: Mapping[str, str]) -> None:
        """`options` are settings of postgresql.conf."""
        # Without fsync a crash loses data. Tests of crashes start their own Postgres.
        self.postgres = EmbeddedPostgres(directory / "postgres", fsync=False, options={"autovacuum": "off", **options})
        self.redis = EmbeddedRedis(directory / "redis")
        self._numbers = itertools.count(1)
        # Both stay connected, because a new connection takes more CPU time than what is asked of it.
        self._console: psycopg2.extensions.connection | None = None
        self._redis_client: Redis | None = None

    async def start(self) -> None:
        await self.postgres.start()
        await self.redis.start()
        self._redis_client = Redis.from_url(self.redis.url)
        self._console = psycopg2.connect(self.postgres.url("postgres", SUPERUSER))
        self._console.autocommit = True
        self._administer(f"CREATE DATABASE {TEMPLATE} OWNER {OWNER}")
        await apply_schema(Settings(database_url=self.postgres.url(TEMPLATE, OWNER)))

    async def stop(self) -> None:
        if self._console is not None:
            self._console.close()
        if self._redis_client is not None:
            self._redis_client.close()
        await self.redis.stop()
        await self.postgres.stop()

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database with the schema and nothing else, which is dropped at the end.

        It is for the processes' role; tests/support/roles.py makes it another's.
        """
        with self._database(TEMPLATE) as url:
            yield url

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """The URL of an empty database, which is dropped at the end."""
        with self._database("template0") as url:
            yield url

    @contextmanager
    def _database(self, template: str) -> Iterator[str]:
        name = f"test_{next(self._numbers)}"
        self._administer(
            f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template} STRATEGY FILE_COPY",
            # A template's own rights are not copied.
            f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC",
        )
        try:
            yield self.postgres.url(name)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def empty_redis(self) -> Iterator[str]:
        """The URL of the Redis, which is emptied at the end."""
        yield self.redis.url
        assert self._redis_client is not None
        self._redis_client.flushall()

    def _administer(self, *statements: str) -> None:
        assert self._console is not None
        with self._console.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@contextmanager
def running_servers(options: Mapping[str, str] | None = None) -> Iterator[Servers]:
    """Servers in a temporary folder, which is removed at the end. `options` are settings of postgresql.conf."""
    with scratch_directory() as directory:
        servers = Servers(directory, options or {})
        try:
            run(servers.start())
            yield servers
        finally:
            run(servers.stop())


@contextmanager
def stopped_postgres() -> Iterator[Path]:
    """The folder of a Postgres that has the schema and was stopped. It is removed at the end."""

    async def make(postgres: EmbeddedPostgres) -> None:
        await postgres.start()
        try:
            await apply_schema(Settings(database_url=postgres.url(role=OWNER)))
        finally:
            await postgres.stop()

    with scratch_directory() as directory:
        run(make(EmbeddedPostgres(directory / "postgres")))
        yield directory / "postgres"


def copy_postgres(folder: Path, to: Path) -> None:
    """Copy the folder of a stopped Postgres, which takes less time than to make another one."""
    # -p keeps the owner: if root runs the tests, Postgres runs as another system user.
    subprocess.run(["cp", "-Rp", folder, to], check=True)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a new loop. Unlike asyncio.run, this does not touch the loop of the tests."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
