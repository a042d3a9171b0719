"""Applies schema.sql once for each version of the file, even if several nodes start together."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shared.postgres.address import resolved
from shared.postgres.connection import Connection
from shared.settings import Settings

SCHEMA = Path(__file__).resolve().parents[2] / "schema.sql"

_LOCK = 7239870109
"""An advisory lock. schema.sql takes another one; this one also covers the check of the applied version."""
_PATIENCE_SECONDS = 600.0


async def apply_schema(settings: Settings) -> bool:
    """Bring the database up to date. Returns True if there was something to do. Raises DatabaseUnavailable.

    If exactly this file has been applied before, nothing runs: CREATE INDEX IF NOT EXISTS would make writers wait.
    """
    sql = SCHEMA.read_text()
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    dsn = await resolved(settings.database_url, _PATIENCE_SECONDS)
    connection = await Connection.open(dsn, settings.database_timeout_seconds)
    try:
        await connection.run(f"SELECT pg_advisory_lock({_LOCK})", None, _PATIENCE_SECONDS)
        await connection.run("SET client_min_messages = warning", None, _PATIENCE_SECONDS)
        await connection.run("CREATE TABLE IF NOT EXISTS schema_applied (checksum text)", None, _PATIENCE_SECONDS)
        applied, _ = await connection.run("SELECT checksum FROM schema_applied", None, _PATIENCE_SECONDS)
        if applied == [(checksum,)]:
            return False
        await connection.run(sql, None, _PATIENCE_SECONDS)
        await connection.run("DELETE FROM schema_applied", None, _PATIENCE_SECONDS)
        await connection.run("INSERT INTO schema_applied VALUES (%s)", (checksum,), _PATIENCE_SECONDS)
        return True
    finally:
        # The lock ends with the connection.
        connection.close()
