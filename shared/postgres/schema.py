"""Applies schema.sql once for each version of the file, and grants.sql after it, as the role that owns the database.

The processes have another role, which may only read and write rows. They ask whether their version's schema is there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import psycopg2.errors

from shared.postgres.address import resolved
from shared.postgres.connection import Connection
from shared.settings import Settings

SCHEMA = Path(__file__).resolve().parents[2] / "schema.sql"
GRANTS = SCHEMA.with_name("grants.sql")

_LOCK = 7239870109
"""An advisory lock. schema.sql takes another one; this one also covers the check of the applied version."""
_PATIENCE_SECONDS = 600.0


class SchemaRefused(Exception):
    """The role may not change the schema. The message is one line for the operator."""


async def apply_schema(settings: Settings) -> bool:
    """Bring the database and the rights of the processes' role up to date. Returns True if schema.sql had to run.

    If exactly this file has been applied before, it does not run: CREATE INDEX IF NOT EXISTS would make writers wait.
    Raises DatabaseUnavailable, and SchemaRefused if the role does not own the database.
    """
    sql = SCHEMA.read_text(encoding="utf-8")
    connection = await _connect(settings)
    try:
        [(role, may_create)] = await _run(
            connection, "SELECT current_user, coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
        )
        if not may_create:
            raise _refused(role)
        try:
            await _run(connection, f"SELECT pg_advisory_lock({_LOCK})")
            await _run(connection, "SET client_min_messages = warning")
            await _run(connection, "CREATE TABLE IF NOT EXISTS schema_applied (checksum text)")
            is_new = (_checksum(sql),) not in await _run(connection, "SELECT checksum FROM schema_applied")
            if is_new:
                await _run(connection, sql)
                await _run(connection, "INSERT INTO schema_applied VALUES (%s)", _checksum(sql))
            await _run(connection, GRANTS.read_text(encoding="utf-8"))
        except psycopg2.errors.InsufficientPrivilege:
            raise _refused(role) from None
        return is_new
    finally:
        # The lock ends with the connection.
        connection.close()


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
    dsn = await resolved(settings.database_url, _PATIENCE_SECONDS)
    return await Connection.open(dsn, settings.database_timeout_seconds)


async def _run(connection: Connection, sql: str, *parameters: str) -> list[tuple[object, ...]]:
    rows, _ = await connection.run(sql, parameters or None, _PATIENCE_SECONDS)
    return rows


def _checksum(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()


def _refused(role: object) -> SchemaRefused:
    return SchemaRefused(
        f"the role {role} may not change the schema: run this with the DATABASE_URL of the role that owns the database"
    )
