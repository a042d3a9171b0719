"""A database, and a Postgres of its own for each test that stops, freezes or kills it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
import uvloop

from development.postgres import SUPERUSER, EmbeddedPostgres
from shared.postgres import Database
from shared.settings import Settings
from tests.support.freezing import freeze, thaw
from tests.support.scratch import scratch_directory
from tests.support.servers import copy_postgres


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of faults on asyncio and on uvloop, which differ when libpq has closed a watched descriptor."""
    both: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop,
        "uvloop": uvloop.new_event_loop,
    }
    return both if item.path.name == "test_faults.py" else {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = await Database.connect(replace(settings, database_pool_size=4, database_timeout_seconds=2.0))
    yield opened
    await opened.close()


class Victim:
    """A Postgres that belongs to one test."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server

    @property
    def settings(self) -> Settings:
        """Settings with this Postgres and short timeouts."""
        return Settings(database_url=self.server.url(), database_pool_size=4, database_timeout_seconds=1.0)

    def administer(self, *statements: str) -> None:
        """Run statements in the database that only an administrator may run."""
        with closing(psycopg2.connect(self.server.url(role=SUPERUSER))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)

    def freeze(self) -> None:
        """Stop every process of the server, so that neither old nor new connections are answered."""
        freeze(self.server.pid)

    def thaw(self) -> None:
        thaw(self.server.pid)


@pytest.fixture
async def victim(fresh_postgres: Path) -> AsyncIterator[Victim]:
    with scratch_directory() as directory:
        copy_postgres(fresh_postgres, directory / "postgres")
        server = EmbeddedPostgres(directory / "postgres", fsync=False)
        try:
            await server.start()
            yield Victim(server)
        finally:
            await server.stop()
