"""SQL about the audit log: each act is recorded in the transaction that does it, and its row is never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from shared.postgres import Database, Statement, Transaction

RECORD = "INSERT INTO audit (actor_id, action, target_type, target_id, reason, details)"
"""The beginning of SQL that records an act, for statements that also carry the act out."""

_RECORD = Statement(
    "audit_record",
    f"{RECORD} VALUES ($1, $2, $3, $4, $5, $6)",
    ("bigint", "text", "text", "bigint", "text", "jsonb"),
)
_LATEST = Statement(
    "audit_latest",
    """SELECT a.id, a.actor_id, u.name, a.action, a.target_type, a.target_id, a.reason, a.details, a.created_at,
           CASE a.target_type WHEN 'user' THEN (SELECT one.name FROM users one WHERE one.id = a.target_id)
                              WHEN 'listing' THEN (SELECT one.title FROM listings one WHERE one.id = a.target_id)
                              WHEN 'category' THEN (SELECT one.name FROM categories one WHERE one.id = a.target_id) END
       FROM audit a JOIN users u ON u.id = a.actor_id
       WHERE a.id < $1 AND ($3::text IS NULL OR a.action = $3) AND ($4::bigint IS NULL OR a.actor_id = $4)
       ORDER BY a.id DESC LIMIT $2""",
    ("bigint", "integer", "text", "bigint"),
)


@dataclass(frozen=True, slots=True)
class Act:
    """An act of a moderator or an admin. `actor_name` is "" if the account was deleted."""

    id: int
    actor_id: int
    actor_name: str
    action: str
    target_type: str
    target_id: int
    reason: str | None
    details: Mapping[str, Any]
    created_at: datetime
    target_name: str | None = None
    """The name of a user or category, or the title of a listing, as it is now."""


class AuditRepository:
    """Reads the log. Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(
        self, *, before_id: int, limit: int, action: str | None = None, actor_id: int | None = None
    ) -> list[Act]:
        """Returns the acts with ids below `before_id`, latest first: all, or those of one kind or one person."""
        return [Act(*row) for row in await self._database.fetch(_LATEST, before_id, limit, action, actor_id)]


async def record(
    transaction: Transaction,
    actor_id: int,
    action: str,
    target_type: str,
    target_id: int,
    *,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Record an act: who did what, to what, and why."""
    await transaction.execute(_RECORD, actor_id, action, target_type, target_id, reason, details_json(details))


def details_json(details: Mapping[str, Any] | None) -> str:
    """Returns the details in their stored form."""
    return msgspec.json.encode(details or {}).decode()
