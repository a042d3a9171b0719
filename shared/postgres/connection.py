"""One connection to Postgres or to a pooler: aiopg's, with bounded waiting, and without three weaknesses of aiopg.

When a connection fails, aiopg checks its descriptor with `select()`, which raises ValueError for descriptors from 1024
on: a process with a thousand sockets would never notice the failure. If the server cancels a statement, aiopg cancels
the task. And aiopg keeps watching the first descriptor, although libpq opens another one when it tries the next
address.

aiopg's public methods do not reach these places, so this module uses ten private names. It overrides `_ready`, `_poll`
and `_close`, which have the weaknesses. It calls `_create_waiter`, which keeps statements apart. And it shares the
state of aiopg's constructor and `close`: `_loop`, `_conn`, `_fileno`, `_writing`, `_waiter`, `_weakref`. A new aiopg
may rename any of them without notice: tests/shared/postgres/test_connection.py then fails.

This module knows no pools. Every failure to reach the server is DatabaseUnavailable; errors in the SQL stay psycopg2's.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from enum import Enum
from typing import Any

import aiopg
import psycopg2
import psycopg2.errors
import psycopg2.extensions

from shared.postgres import session
from shared.postgres.address import Server
from shared.postgres.errors import DatabaseUnavailable
from shared.postgres.pooling import BEGIN_AGAIN, Pooling
from shared.postgres.statement import Statement, adapted

POLL_OK = psycopg2.extensions.POLL_OK
POLL_WRITE = psycopg2.extensions.POLL_WRITE
IDLE = psycopg2.extensions.TRANSACTION_STATUS_IDLE

_AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError)
_SPENT = (
    # The table of a prepared statement was altered: the statement has to be prepared again.
    psycopg2.errors.FeatureNotSupported,
    # The server is no longer the primary: only a new connection finds the new primary.
    psycopg2.errors.ReadOnlySqlTransaction,
    # Somebody else removed a statement from the session of a pooler.
    psycopg2.errors.InvalidSqlStatementName,
)
"""Errors that only a new connection ends. If this connection stayed in the pool, it would be lent again and again."""


class Fault(Enum):
    """Why a connection was closed, if its server is the cause."""

    SILENT = "no answer in time"
    READ_ONLY = "no writes"


class Connection(aiopg.Connection):
    """Runs one statement at a time. After DatabaseUnavailable or a cancelled `run`, check `is_usable`."""

    def __init__(self, server: Server, timeout: float) -> None:
        self.server = server
        self.answered_at = 0.0
        """When it answered last, by the loop's clock."""
        self.fault: Fault | None = None
        """What it has met that may concern other connections to the same server too."""
        self._is_retired = False
        self._is_established = False
        self._prepared: dict[str, tuple[str, str]] = {}
        self._statements: Any = None  # psycopg2's cursor, one for all statements
        self._pooling: Pooling | None = None
        self._prepared_here: set[str] | None = None  # in the session of this transaction, behind a pooler
        super().__init__(server.dsn, timeout, enable_json=False, enable_hstore=False, enable_uuid=False)
        assert self._waiter is not None
        self._connecting = self._waiter

    @classmethod
    async def open(
        cls,
        server: Server,
        timeout: float,
        *,
        settings: Sequence[str],
        pooling: Pooling | None = None,
        is_pooled: bool | None = None,
    ) -> Connection:
        """Connect within the timeout, in seconds. Raises DatabaseUnavailable.

        `settings` are those of session.py. `is_pooled` says whether a pooler is in between; None: it is noticed,
        because a pooler does not tell clients the process id of a session.
        """
        try:
            connection = cls(server, timeout)
        except psycopg2.Error as error:
            raise DatabaseUnavailable(_reason(error)) from error
        try:
            await connection._poll(connection._connecting, timeout)
        except psycopg2.Error as error:
            connection._close()
            raise DatabaseUnavailable(_reason(error)) from error
        connection._is_established = True
        connection._statements = connection._conn.cursor()
        try:
            [(process_id,)], _ = await connection.run(f"{session.ZONE}; SELECT pg_backend_pid()", None, timeout)
            if is_pooled is None:
                is_pooled = process_id != connection._conn.get_backend_pid()
            if is_pooled:
                connection._pooling = pooling or Pooling(settings)
            else:
                await connection.run(session.for_session(settings), None, timeout)
        except BaseException:
            connection._close()
            raise
        return connection

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler is in between, so that the next transaction may have another session."""
        return self._pooling is not None

    @property
    def is_usable(self) -> bool:
        """True if the connection can be lent again: it is open, and not in a statement or a transaction."""
        raw = self._conn
        return (
            not self._is_retired
            and not raw.closed
            and not raw.isexecuting()
            and bool(raw.get_transaction_status() == IDLE)
        )

    @property
    def is_read_only(self) -> bool:
        """True if the server has said that it takes no writes: it tells so with the answer of a statement."""
        return "on" in (
            self._conn.get_parameter_status("default_transaction_read_only"),
            self._conn.get_parameter_status("in_hot_standby"),
        )

    def retire(self) -> None:
        """Do not lend it again after its present use."""
        self._is_retired = True

    async def execute(
        self, statement: Statement, parameters: Sequence[Any], timeout: float
    ) -> tuple[list[tuple[Any, ...]], int]:
        """Returns the rows, and the number of rows found or changed.

        The timeout, in seconds, is for each of two round trips: preparing the statement and executing it. Raises
        DatabaseUnavailable, and psycopg2's errors for faults in the SQL.
        """
        if self._pooling is not None:
            return await self._execute_pooled(self._pooling, statement, parameters, timeout)
        if not statement.name:
            first = f"{statement.first}; " if statement.first else ""
            return await self.run(first + statement.sql, adapted(parameters), timeout)
        prepared = self._prepared.get(statement.name)
        if prepared is None:
            prepared = await self._prepare(statement, len(parameters), timeout)
        sql, execute = prepared
        if sql is not statement.sql and sql != statement.sql:
            raise RuntimeError(f"two statements are named {statement.name!r}")
        return await self.run(execute, adapted(parameters), timeout)

    async def _prepare(self, statement: Statement, count: int, timeout: float) -> tuple[str, str]:
        types = f" ({', '.join(statement.types)})" if statement.types else ""
        await self.run(f'PREPARE "{statement.name}"{types} AS {statement.sql}', None, timeout)
        arguments = f" ({', '.join(['%s'] * count)})" if count else ""
        first = f"{statement.first}; " if statement.first else ""
        prepared = (statement.sql, f'{first}EXECUTE "{statement.name}"{arguments}')
        self._prepared[statement.name] = prepared
        return prepared

    async def _execute_pooled(
        self, pooling: Pooling, statement: Statement, parameters: Sequence[Any], timeout: float
    ) -> tuple[list[tuple[Any, ...]], int]:
        first = f"{statement.first}; " if statement.first else ""
        if self._prepared_here is None and not statement.is_alone:
            first = f"{pooling.settings}; {first}"
        if not statement.name:
            return await self.run(first + statement.sql, adapted(parameters), timeout)
        name = pooling.name(statement)
        arguments = f" ({', '.join(['%s'] * len(parameters))})" if parameters else ""
        # The SQL below is not for psycopg2, to which a percent sign has a meaning.
        execute = first + self._statements.mogrify(f'EXECUTE "{name}"{arguments}', adapted(parameters)).decode()
        if self._prepared_here is not None:
            if name in self._prepared_here:
                return await self.run(execute, None, timeout)
            found = await self.run(f"{pooling.preparing(statement)}; {execute}", None, timeout)
            self._prepared_here.add(name)
            return found
        try:
            return await self._trip(execute, None, timeout)
        except psycopg2.errors.InvalidSqlStatementName:
            preparing = pooling.preparing(statement)
        except psycopg2.errors.FeatureNotSupported:
            preparing = pooling.preparing(statement, anew=True)
        except psycopg2.Error as error:
            raise self._failure(error) from error
        return await self.run(f"{preparing}; {execute}", None, timeout)

    async def begin(self, timeout: float) -> None:
        """BEGIN a transaction. Raises DatabaseUnavailable."""
        pooling = self._pooling
        if pooling is None:
            await self.run("BEGIN", None, timeout)
            return
        try:
            [(name,)], _ = await self._trip("BEGIN" + pooling.begin, None, timeout)
        except psycopg2.errors.InvalidSqlStatementName:
            [(name,)], _ = await self.run(BEGIN_AGAIN + pooling.marking(), None, timeout)
        except psycopg2.Error as error:
            raise self._failure(error) from error
        self._prepared_here = pooling.prepared_in(name)

    async def end(self, command: str, timeout: float) -> None:
        """COMMIT the transaction or ROLLBACK. Raises DatabaseUnavailable."""
        self._prepared_here = None
        await self.run(command, None, timeout)

    async def run(
        self, query: str, parameters: Sequence[Any] | None, timeout: float | None
    ) -> tuple[list[tuple[Any, ...]], int]:
        """Make one round trip, with parameters quoted by psycopg2. Returns and raises as `execute` does.

        Without a timeout, it waits for as long as the server takes.
        """
        try:
            return await self._trip(query, parameters, timeout)
        except psycopg2.Error as error:
            raise self._failure(error) from error

    async def _trip(
        self, query: str, parameters: Sequence[Any] | None, timeout: float | None
    ) -> tuple[list[tuple[Any, ...]], int]:
        """Like `run`, with psycopg2's errors as they are."""
        cursor = self._statements
        waiter = self._create_waiter("run")
        try:
            cursor.execute(query, parameters)
        except BaseException:
            self._waiter = None
            raise
        await self._poll(waiter, timeout)
        self.answered_at = self._loop.time()
        return (cursor.fetchall() if cursor.description is not None else []), cursor.rowcount

    def _failure(self, error: psycopg2.Error) -> Exception:
        """Returns what to raise for an error of psycopg2; closes the connection if only a new one ends the error."""
        if isinstance(error, psycopg2.errors.ReadOnlySqlTransaction):
            self.fault = Fault.READ_ONLY
        if isinstance(error, _SPENT):
            self._close()
        return DatabaseUnavailable(_reason(error)) if isinstance(error, _AWAY) or self._conn.closed else error

    async def _poll(self, waiter: asyncio.Future[None], timeout: float | None) -> None:
        """Wait for the server. If the caller stops waiting, close the connection: the answer would still come."""
        self._advance()
        timer = None if timeout is None else self._loop.call_later(timeout, _expire, waiter, timeout)
        try:
            await waiter
        except (asyncio.CancelledError, DatabaseUnavailable) as error:
            if isinstance(error, DatabaseUnavailable):
                self.fault = Fault.SILENT
            self._close()
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._waiter = None

    @staticmethod
    def _ready(weak_self: weakref.ref[Any]) -> None:
        self = weak_self()
        if self is not None:
            self._advance()

    def _advance(self) -> None:
        """Let libpq read and write, then watch the descriptor for what libpq waits for."""
        waiter = self._waiter
        try:
            state = self._conn.poll()
        except psycopg2.Error as error:
            if self._conn.closed or not self._is_established:
                # libpq has closed the descriptor: stop watching it before a new file gets the same number.
                self._forget_descriptor()
            if waiter is not None and not waiter.done():
                waiter.set_exception(error)
            return
        if not self._is_established:
            self._follow_descriptor()
        if state == POLL_OK:
            self._watch_writing(False)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        else:
            self._watch_writing(state == POLL_WRITE)

    def _watch_writing(self, wanted: bool) -> None:
        if wanted is self._writing or self._fileno is None:
            return
        if wanted:
            self._loop.add_writer(self._fileno, self._ready, self._weakref)
        else:
            self._loop.remove_writer(self._fileno)
        self._writing = wanted

    def _follow_descriptor(self) -> None:
        """Watch libpq's current socket. While connecting it may change, even to one with the same number."""
        self._forget_descriptor()
        self._fileno = self._conn.fileno()
        self._loop.add_reader(self._fileno, self._ready, self._weakref)

    def _forget_descriptor(self) -> None:
        if self._fileno is not None:
            self._loop.remove_reader(self._fileno)
            self._watch_writing(False)
            self._fileno = None

    def _close(self) -> None:
        self._forget_descriptor()
        super()._close()


def _expire(waiter: asyncio.Future[None], timeout: float) -> None:
    if not waiter.done():
        waiter.set_exception(DatabaseUnavailable(f"no answer within {timeout:g} s"))


def _reason(error: Exception) -> str:
    """Returns the error in one line; psycopg2's messages have several, and the last is often empty."""
    lines = (" ".join(line.split()) for line in str(error).splitlines())
    return "; ".join(line for line in lines if line) or type(error).__name__
