"""pgbench's inserts of messages: what Postgres can do on this machine, with which stored sends are compared."""

from __future__ import annotations

from tests.bench.stage import USERS, Stage

CLIENTS = 10
"""The number of pgbench's connections: as many as a node has."""

_PLAIN = "CREATE TABLE IF NOT EXISTS plain_messages (LIKE messages INCLUDING ALL)"
"""The same columns and indexes, without the trigger that makes ids visible in order."""
_INSERT = f"""\\set from random(1, {USERS})
\\set to random(1, {USERS})
INSERT INTO %s (from_id, to_id, text) SELECT :from, :to, '@1234567890123456@10@ Is it still there?'
WHERE EXISTS (SELECT FROM users WHERE id = :to AND deleted_at IS NULL)
AND NOT EXISTS (SELECT FROM blocks WHERE blocker_id = :to AND blocked_id = :from);
"""


async def unordered(stage: Stage, seconds: float) -> float:
    """Returns the inserts a second when ids become visible in any order."""
    await stage.sql(_PLAIN)
    return await stage.pgbench(_INSERT % "plain_messages", clients=CLIENTS, seconds=seconds)


async def ordered(stage: Stage, seconds: float) -> float:
    """Returns the inserts a second when ids become visible in their order, as those of messages do: one at a time."""
    return await stage.pgbench(_INSERT % "messages", clients=CLIENTS, seconds=seconds)
