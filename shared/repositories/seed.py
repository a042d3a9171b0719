"""SQL that makes demo users in the database; a hundred thousand take seconds."""

from __future__ import annotations

from shared.postgres import Database, Statement

_USERS = Statement(
    "",
    """WITH added AS (
           INSERT INTO users (id, email, name, password_hash, created_at)
           SELECT id, 'user' || id || '@example.com', 'User ' || id, %s, now() - id %% 1000 * interval '1 hour'
           FROM (SELECT nextval(pg_get_serial_sequence('users', 'id')) AS id FROM generate_series(1, %s)) AS fresh
           RETURNING id
       ) SELECT min(id), max(id) FROM added""",
)

_HAS_ANY = Statement("", "SELECT EXISTS (SELECT FROM users)")


class SeedRepository:
    """Needs a database with a long timeout, and its owner's role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def has_users(self) -> bool:
        return await self._database.fetch_one(_HAS_ANY) == (True,)

    async def users(self, count: int, password_hash: str) -> tuple[int, int]:
        """Add users with the same password. Returns the first and the last id: 1 and `count` in an empty database."""
        row = await self._database.fetch_one(_USERS, password_hash, count)
        assert row is not None
        return row[0], row[1]
