"""SQL about blocks: two people of whom one has blocked the other write nothing to each other.

messages.py and replies.py enforce the blocks: once a block is answered, neither stores a message or a reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.access.policy import Action
from shared.domain.users import NoLongerAllowed, PublicUser, UserNotFound
from shared.postgres import Database, Statement
from shared.repositories.acting import acting
from shared.repositories.users import public_user

# A reply holds a lock on its author's row until it is committed.
_LOCK = Statement(
    "block_lock", "SELECT FROM users WHERE id IN ($1, $2) ORDER BY id FOR NO KEY UPDATE", ("bigint", "bigint")
)
_BLOCK = Statement(
    "block",
    f"""WITH actor AS MATERIALIZED ({acting("$1", Action.BLOCK_CHANGE)}),
            blocked AS (SELECT id, name, role, created_at FROM users WHERE id = $2 AND deleted_at IS NULL),
            added AS (
                INSERT INTO blocks (blocker_id, blocked_id) SELECT actor.id, blocked.id FROM actor, blocked
                ON CONFLICT DO NOTHING
            )
       SELECT blocked.*, EXISTS (SELECT FROM actor) FROM blocked""",
    ("bigint", "bigint"),
)
_UNBLOCK = Statement(
    "block_remove", "DELETE FROM blocks WHERE blocker_id = $1 AND blocked_id = $2", ("bigint", "bigint")
)
_IS_BLOCKED = Statement(
    "block_exists", "SELECT FROM blocks WHERE blocker_id = $1 AND blocked_id = $2", ("bigint", "bigint")
)
_BLOCKED_BY = Statement(
    "block_blocked_by",
    "SELECT blocker_id, array_agg(blocked_id) FROM blocks WHERE blocker_id = ANY ($1) GROUP BY blocker_id",
    ("bigint[]",),
)
_BLOCKED = Statement(
    "block_list",
    """SELECT u.id, u.name, u.role, u.created_at, b.created_at FROM blocks b JOIN users u ON u.id = b.blocked_id
       WHERE b.blocker_id = $1 AND u.deleted_at IS NULL
         AND ($2::timestamptz IS NULL OR (b.created_at, b.blocked_id) < ($2, $3))
       ORDER BY b.created_at DESC, b.blocked_id DESC LIMIT $4""",
    ("bigint", "timestamptz", "bigint", "integer"),
)


@dataclass(frozen=True, slots=True)
class BlockedUser:
    """A user who is blocked, and since when."""

    user: PublicUser
    since: datetime


class BlockRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def block(self, blocker_id: int, blocked_id: int) -> PublicUser:
        """Block a user, and return that user. A second block changes nothing.

        Raises UserNotFound or NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            await transaction.fetch(_LOCK, blocker_id, blocked_id)
            row = await transaction.fetch_one(_BLOCK, blocker_id, blocked_id)
            if row is None:
                raise UserNotFound
            if not row[4]:
                raise NoLongerAllowed
            return public_user(row)

    async def unblock(self, blocker_id: int, blocked_id: int) -> None:
        """Remove a block, if there is one."""
        await self._database.execute(_UNBLOCK, blocker_id, blocked_id)

    async def is_blocked(self, user_id: int, *, by: int) -> bool:
        """True if the user `by` has blocked the user `user_id`."""
        return await self._database.fetch_one(_IS_BLOCKED, by, user_id) is not None

    async def blocked(self, user_ids: Sequence[int]) -> dict[int, frozenset[int]]:
        """Returns whom each of these users has blocked, with one statement. Those who blocked nobody are absent."""
        rows = await self._database.fetch(_BLOCKED_BY, list(user_ids))
        return {blocker_id: frozenset(blocked) for blocker_id, blocked in rows}

    async def blocked_by(
        self, blocker_id: int, *, before: tuple[datetime, int] | None, limit: int
    ) -> list[BlockedUser]:
        """Returns the users whom a user has blocked, latest first; `before` is the time and id of the last one seen."""
        since, last_id = before or (None, None)
        rows = await self._database.fetch(_BLOCKED, blocker_id, since, last_id, limit)
        return [BlockedUser(public_user(row), row[4]) for row in rows]
