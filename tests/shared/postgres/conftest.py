"""A database to use, and a Postgres of a test's own that it may stop, freeze and kill."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.embedded.postgres import EmbeddedPostgres
from shared.postgres import Database
from shared.settings import Settings


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = await Database.connect(replace(settings, database_pool_size=4, database_timeout_seconds=2.0))
    yield opened
    await opened.close()


class Victim:
    """A Postgres of one test's own."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server

    @property
    def settings(self) -> Settings:
        """The name of the database is that of the cluster; timeouts are short."""
        return Settings(database_url=self.server.url(), database_pool_size=4, database_timeout_seconds=1.0)

    def freeze(self) -> None:
        """Every process of it, so that neither old nor new connections are answered."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        pid = self.server.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]


@pytest.fixture
async def victim() -> AsyncIterator[Victim]:
    directory = Path(tempfile.mkdtemp(prefix="daveslist-victim-", dir="/tmp"))
    directory.chmod(0o711)  # Run by root, Postgres is another user, who has to get in.
    server = EmbeddedPostgres(directory, fsync=False)
    try:
        await server.start()
        yield Victim(server)
    finally:
        await server.stop()
        shutil.rmtree(directory)
