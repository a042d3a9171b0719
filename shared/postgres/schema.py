"""Applies schema.sql once for each version of the file, and grants.sql after it, as the role that owns the database.

The processes have another role, which may only read and write rows. They ask whether their version's schema is there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg2.errors

from shared.postgres.connection import Connection
from shared.postgres.errors import DatabaseUnavailable
from shared.postgres.opening import Opener
from shared.postgres.steps import Step, steps
from shared.settings import Settings
from shared.version import VERSION

SCHEMA = Path(__file__).resolve().parents[2] / "schema.sql"
GRANTS = SCHEMA.with_name("grants.sql")

_LOCK = 7239870109
"""An advisory lock. schema.sql takes another one; this one also covers the check of the applied version."""
_PATIENCE_SECONDS = 600.0
"""How long to wait for locks, for whoever else changes the schema, and for the answers of short statements. A step that
works, and the building of an index, may take longer: what was ended would have to begin again, and never be done."""
_ASK_AGAIN_SECONDS = 0.1
_LOCK_SECONDS = 0.2
"""A step waits so long for a lock, and everybody who comes after it waits too. Then it lets them go on for as long."""
_FOR_A_STEP = (
    f"SET LOCAL lock_timeout = '{_LOCK_SECONDS * 1000:.0f}ms'; SET LOCAL statement_timeout = 0; "
    "SET LOCAL client_min_messages = warning"
)
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
_APPLIED = """
CREATE TABLE IF NOT EXISTS schema_applied (checksum text);
ALTER TABLE schema_applied ADD COLUMN IF NOT EXISTS version text;
ALTER TABLE schema_applied ADD COLUMN IF NOT EXISTS applied_at timestamptz DEFAULT now()
"""
_INDEX_STATE = """
SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relname = %s AND c.relnamespace = current_schema()::regnamespace
"""


class SchemaRefused(Exception):
    """The role may not change the schema. The message is one line for the operator."""


class SchemaFailed(Exception):
    """A statement failed, for example because rows have what a new index forbids. The message is one line."""


async def apply_schema(settings: Settings) -> bool:
    """Bring the database and the rights of the processes' role up to date. Returns True if schema.sql had to run.

    If exactly this file has been applied before, it does not run. In a database with rows it runs beside traffic.
    Raises DatabaseUnavailable, SchemaRefused if the role does not own the database, and SchemaFailed.
    """
    connection = await _connect(settings)
    try:
        [(role, may_create)] = await _run(
            connection, "SELECT current_user, coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
        )
        if not may_create:
            raise _refused(role)
        try:
            async with _alone(settings):
                return await _apply(connection)
        except psycopg2.errors.InsufficientPrivilege:
            raise _refused(role) from None
        except psycopg2.Error as error:
            # The lines below the first one have values of rows.
            raise SchemaFailed(str(error).partition("\n")[0]) from error
    finally:
        connection.close()


async def _apply(connection: Connection) -> bool:
    sql = SCHEMA.read_text(encoding="utf-8")
    tables = {name for (name,) in await _run(connection, _TABLES)}
    await _run(connection, _APPLIED)
    is_new = (_checksum(sql),) not in await _run(connection, "SELECT checksum FROM schema_applied")
    if is_new:
        if "users" in tables:
            await _upgrade(connection, sql, tables)
        else:
            await _run(connection, sql)
        await _run(
            connection, "INSERT INTO schema_applied (checksum, version) VALUES (%s, %s)", _checksum(sql), VERSION
        )
    await _run(connection, GRANTS.read_text(encoding="utf-8"))
    return is_new


async def _upgrade(connection: Connection, sql: str, tables: Collection[object]) -> None:
    """Bring a database of an earlier version up to date, beside processes that read and write.

    It is not one transaction: if it is ended in between, the next call goes on, and every step leaves a database with
    which the version before works.
    """
    for step in steps(sql):
        if step.index and step.table in tables:
            await _build(connection, step)
        else:
            await _take(connection, step)


async def _take(connection: Connection, step: Step) -> None:
    """Run a step. If it does not get its locks at once, let everybody else go on, and try again."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while True:
        try:
            await _run(connection, f"BEGIN; {_FOR_A_STEP}")
            _, changed = await connection.run(step.sql, None, None)
            await _run(connection, "COMMIT")
            if changed > 0 and step.is_batch:
                continue
            return
        except DatabaseUnavailable as error:
            if not _is_locked(error) or asyncio.get_running_loop().time() >= deadline:
                raise
            await _run(connection, "ROLLBACK")
        except psycopg2.Error:
            await _run(connection, "ROLLBACK")
            raise
        await asyncio.sleep(_LOCK_SECONDS)


def _is_locked(error: DatabaseUnavailable) -> bool:
    """Whether the statement ended because others had locks that it needs."""
    return isinstance(error.__cause__, psycopg2.errors.LockNotAvailable | psycopg2.errors.DeadlockDetected)


async def _build(connection: Connection, step: Step) -> None:
    """Build an index while rows are written. If that ends because of others' locks, try again."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while True:
        try:
            state = await _run(connection, _INDEX_STATE, step.index)
            if state == [(True,)]:
                return
            if state:
                # This call or an earlier one was ended while it built the index.
                await _drop(connection, step)
            await connection.run(step.concurrently, None, None)
            return
        except DatabaseUnavailable as error:
            if not _is_locked(error) or asyncio.get_running_loop().time() >= deadline:
                raise
        except psycopg2.Error:
            await _drop(connection, step)
            raise
        await asyncio.sleep(_LOCK_SECONDS)


async def _drop(connection: Connection, step: Step) -> None:
    """Remove an index that was not finished. Waits until nobody uses its table as it was before."""
    await connection.run(f"DROP INDEX CONCURRENTLY IF EXISTS {step.index}", None, None)


@asynccontextmanager
async def _alone(settings: Settings) -> AsyncIterator[None]:
    """Hold the lock. It belongs to a transaction of another connection, because a pooler lends a session only for one.

    Who does not get the lock asks again, and does not keep a session of the pooler meanwhile.
    """
    holder = await _connect(settings)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                await _run(holder, "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
                if await _run(holder, f"SELECT pg_try_advisory_xact_lock({_LOCK})") == [(True,)]:
                    break
                await _run(holder, "ROLLBACK")
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
        yield
    except TimeoutError:
        raise DatabaseUnavailable("another process is changing the schema") from None
    finally:
        # The lock ends with the connection.
        holder.close()


async def is_schema_applied(settings: Settings) -> bool:
    """Returns whether this version's schema.sql has been applied, and the role may use it. Raises DatabaseUnavailable.

    It stays true when a later version's schema.sql is applied, because that one only adds.
    """
    connection = await _connect(settings)
    try:
        checksum = _checksum(SCHEMA.read_text(encoding="utf-8"))
        return bool(await _run(connection, "SELECT 1 FROM schema_applied WHERE checksum = %s", checksum))
    except (psycopg2.errors.UndefinedTable, psycopg2.errors.InsufficientPrivilege):
        return False
    finally:
        connection.close()


async def _connect(settings: Settings) -> Connection:
    # The server ends no statement: this side says how long it waits for each.
    return await Opener(settings, statement_timeout=0).open()


async def _run(connection: Connection, sql: str, *parameters: str) -> list[tuple[object, ...]]:
    rows, _ = await connection.run(sql, parameters or None, _PATIENCE_SECONDS)
    return rows


def _checksum(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()


def _refused(role: object) -> SchemaRefused:
    return SchemaRefused(
        f"the role {role} may not change the schema: run this with the DATABASE_URL of the role that owns the database"
    )
