"""SQL about the audit log: acts are recorded in the transaction that does them, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.postgres import Statement, Transaction

_RECORD = Statement(
    "audit_record",
    """INSERT INTO audit (actor_id, action, target_type, target_id, reason, details)
       VALUES ($1, $2, $3, $4, $5, $6)""",
    ("bigint", "text", "text", "bigint", "text", "jsonb"),
)


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
    """Who did what, to what, and why."""
    text = msgspec.json.encode(details or {}).decode()
    await transaction.execute(_RECORD, actor_id, action, target_type, target_id, reason, text)
