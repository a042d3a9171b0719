"""The database as the repositories see it: statements in, rows out, transactions, and one failure.

If the database is away, frozen or restarting, every method raises DatabaseUnavailable: after waiting
`database_timeout_seconds` for a connection, or as long for the answer. When the database is back, everything works
without a restart. A statement outside a transaction commits by itself.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from shared import tracing
from shared.postgres import traced
from shared.postgres.address import parsed
from shared.postgres.connection import Connection, Fault
from shared.postgres.errors import DatabaseUnavailable
from shared.postgres.opening import Opener
from shared.postgres.pool import Pool
from shared.postgres.statement import Statement
from shared.settings import Settings

_PING = Statement("ping", "SELECT 1")
_RETIRE_SECONDS = 1.0
"""All connections are closed because of a server that takes no writes at most this often. It may be the only one."""


class Transaction:
    """Runs statements that take effect together. `Database.transaction` makes it."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout

    async def fetch(self, statement: Statement, *parameters: Any) -> list[tuple[Any, ...]]:
        """Like `Database.fetch`, within the transaction."""
        return (await self._connection.execute(statement, parameters, self._timeout))[0]

    async def fetch_one(self, statement: Statement, *parameters: Any) -> tuple[Any, ...] | None:
        """Like `Database.fetch_one`, within the transaction."""
        rows, _ = await self._connection.execute(statement, parameters, self._timeout)
        return rows[0] if rows else None

    async def execute(self, statement: Statement, *parameters: Any) -> int:
        """Like `Database.execute`, within the transaction."""
        return (await self._connection.execute(statement, parameters, self._timeout))[1]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """This transaction. So a repository can work within it, as on a database.

        There are no savepoints: if the block raises, the whole transaction has to end with the error.
        """
        yield self


class Database:
    """A pool of connections. A caller that is cancelled or fails does not affect other callers' statements."""

    def __init__(self, settings: Settings) -> None:
        """It connects on first use; `connect` does so at once. Raises InvalidDatabaseUrl."""
        parsed(settings.database_url)
        self._timeout = settings.database_timeout_seconds
        self._opener = Opener(settings, kind=traced.Connection if tracing.active() else Connection)
        self._retired_at = -math.inf
        self._pool = Pool(self._open, settings.database_pool_size, self._timeout)

    @classmethod
    async def connect(cls, settings: Settings) -> Database:
        """Returns a database that has answered. Raises InvalidDatabaseUrl, or DatabaseUnavailable without an answer."""
        database = cls(settings)
        try:
            await database.ping()
        except BaseException:
            await database.close()
            raise
        return database

    @property
    def pool(self) -> Pool:
        """The pool, for metrics."""
        return self._pool

    async def fetch(self, statement: Statement, *parameters: Any) -> list[tuple[Any, ...]]:
        """Returns all rows. Raises DatabaseUnavailable."""
        connection = await self._pool.acquire()
        try:
            return (await connection.execute(statement, parameters, self._timeout))[0]
        finally:
            self._release(connection)

    async def fetch_one(self, statement: Statement, *parameters: Any) -> tuple[Any, ...] | None:
        """Returns the first row, or None. Raises DatabaseUnavailable."""
        rows = await self.fetch(statement, *parameters)
        return rows[0] if rows else None

    async def execute(self, statement: Statement, *parameters: Any) -> int:
        """Returns the number of rows that were changed. Raises DatabaseUnavailable."""
        connection = await self._pool.acquire()
        try:
            return (await connection.execute(statement, parameters, self._timeout))[1]
        finally:
            self._release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """BEGIN; then COMMIT at the end of the block, or ROLLBACK if the block raises.

        If the COMMIT raises DatabaseUnavailable, the transaction may or may not have taken effect.
        """
        connection = await self._pool.acquire()
        try:
            await connection.begin(self._timeout)
            try:
                yield Transaction(connection, self._timeout)
            except BaseException:
                if not connection.closed:
                    with suppress(DatabaseUnavailable):
                        await connection.end("ROLLBACK", self._timeout)
                raise
            await connection.end("COMMIT", self._timeout)
        finally:
            self._release(connection)

    async def ping(self) -> None:
        """Check that the database answers. Raises DatabaseUnavailable."""
        await self.fetch(_PING)

    async def close(self) -> None:
        """Close every connection. Statements under way fail."""
        await self._pool.close()

    async def _open(self) -> Connection:
        before = self._opener.current
        connection = await self._opener.open()
        if before not in (None, connection.server):
            self._pool.retire(lambda other: other.server != connection.server)
        return connection

    def _release(self, connection: Connection) -> None:
        if self._opener.has_choice and connection.fault is None and not connection.closed and connection.is_read_only:
            connection.retire()
            connection.fault = Fault.READ_ONLY
        self._pool.release(connection)
        if connection.fault is not None:
            self._doubt(connection, connection.fault)

    def _doubt(self, connection: Connection, fault: Fault) -> None:
        """Do not let one caller after the other wait for a server that is frozen or was demoted."""
        self._opener.doubt(connection.server)
        now = asyncio.get_running_loop().time()
        if fault is Fault.SILENT:
            # It may be one slow statement: connections that have answered meanwhile are good.
            self._pool.retire(
                lambda other: other.server == connection.server and other.answered_at < now - self._timeout
            )
        elif now >= self._retired_at + _RETIRE_SECONDS:
            self._retired_at = now
            self._pool.retire(lambda other: other.server == connection.server)
