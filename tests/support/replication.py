"""Two Postgres servers, of which one follows the other by streaming replication, as in a deployment with a standby."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import psycopg2

from development import child
from development.postgres import DATABASE, ROLE, SUPERUSER, EmbeddedPostgres
from shared.postgres.address import parsed
from tests.support.freezing import freeze, thaw
from tests.support.scratch import scratch_directory
from tests.support.servers import copy_postgres

PATIENCE_SECONDS = 30.0


class Replication:
    """A primary and its standby. Commits wait until the standby has them if it is synchronous."""

    def __init__(self, directory: Path, *, is_synchronous: bool) -> None:
        following = {"synchronous_standby_names": "*"} if is_synchronous else {}
        self.primary = EmbeddedPostgres(directory / "primary", options={"wal_keep_size": "256MB", **following})
        self.directory = directory
        self.standby: EmbeddedPostgres
        self._sender: int | None = None
        """The process that sends to the standby, if it is held back."""

    async def start(self) -> None:
        await self.primary.start()
        host = parsed(self.primary.url())["host"]
        followed = f"host={host} port=5432 user={SUPERUSER}"
        self.standby = EmbeddedPostgres(self.directory / "standby", options={"primary_conninfo": followed})
        await self.standby.start()
        state = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        assert await child.happens(lambda: ask(self.primary, state) == [(1,)], PATIENCE_SECONDS)

    async def stop(self) -> None:
        if self._sender is not None:
            thaw(self._sender)
        for server in (self.standby, self.primary):
            await server.stop()

    def url(self) -> str:
        """The URL that names both servers."""
        hosts = ",".join(parsed(server.url())["host"] for server in (self.primary, self.standby))
        return f"postgresql://{ROLE}@/{DATABASE}?host={hosts}&port=5432,5432&target_session_attrs=read-write"

    async def hold_back(self) -> None:
        """Let the primary send no more: what it commits from now on is not on the standby, which is asynchronous.

        Returns when the standby shows all that it has.
        """
        [(self._sender,)] = ask(self.primary, "SELECT pid FROM pg_stat_replication")
        freeze(self._sender)
        has_all = "SELECT pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()"
        assert await child.happens(lambda: ask(self.standby, has_all) == [(True,)], PATIENCE_SECONDS)

    def kill_primary(self) -> None:
        """Kill the primary with all that it has not sent."""
        self.primary.kill()
        if self._sender is not None:
            # It is stopped, so it does not notice that the server has ended.
            with suppress(ProcessLookupError):
                os.kill(self._sender, signal.SIGKILL)
            self._sender = None

    async def promote(self) -> None:
        """Make the standby a primary. Returns when it takes writes."""
        await asyncio.to_thread(ask, self.standby, f"SELECT pg_promote(true, {int(PATIENCE_SECONDS)})")


def ask(server: EmbeddedPostgres, sql: str) -> list[Any]:
    """The rows of a statement of the superuser."""
    with closing(psycopg2.connect(server.url(DATABASE, SUPERUSER))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(sql)
        rows: list[Any] = cursor.fetchall() if cursor.description else []
        return rows


@asynccontextmanager
async def replication(folder: Path, *, is_synchronous: bool = True) -> AsyncIterator[Replication]:
    """Two servers, made of the folder of a stopped one, with its schema and rows."""
    with scratch_directory() as directory:
        for name in ("primary", "standby"):
            copy_postgres(folder, directory / name)
        follows = directory / "standby" / "data" / "standby.signal"
        shutil.copy2(follows.with_name("PG_VERSION"), follows)
        owner = follows.with_name("PG_VERSION").stat()
        shutil.chown(follows, owner.st_uid, owner.st_gid)
        pair = Replication(directory, is_synchronous=is_synchronous)
        try:
            await pair.start()
            yield pair
        finally:
            await pair.stop()
