"""SQL about requests that clients may repeat.

The key of a request is entered in the transaction that makes what the request asks for, together with the answer. So
there is a row if and only if the thing was made, whenever a process dies; and while the first request is under way, its
lock keeps a second one with the same key from beginning.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.domain.repeats import KeptAnswer, KeyInUse, KeyReused, Repeatable, Repeated
from shared.postgres import Database, Statement, Transaction

# An advisory lock, because a second request would wait for the row of the first, and hold a connection meanwhile.
_LOCK = Statement("repeat_lock", "SELECT pg_try_advisory_xact_lock(hashtextextended($2, $1))", ("bigint", "text"))
_FIND = Statement(
    "repeat_find",
    "SELECT fingerprint, status, answer FROM repeatable_requests WHERE user_id = $1 AND key = $2",
    ("bigint", "text"),
)
_KEEP = Statement(
    "repeat_keep",
    """INSERT INTO repeatable_requests (user_id, key, fingerprint, status, answer) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT DO NOTHING""",
    ("bigint", "text", "text", "smallint", "text"),
)
_REMOVE_OLD = Statement(
    "repeat_remove_old",
    """DELETE FROM repeatable_requests WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM repeatable_requests WHERE created_at < now() - make_interval(secs => $1)
           ORDER BY created_at LIMIT $2))""",
    ("double precision", "integer"),
)
MAX_REMOVED = 5_000
"""Keys that one step removes."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The transaction of a request that has its key for itself."""

    request: Repeatable
    transaction: Transaction

    async def keep(self, answer: KeptAnswer) -> None:
        """Keep the answer for repeats of the request, if the transaction commits."""
        await _keep(self.transaction, self.request, answer)


class RepeatRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, request: Repeatable) -> None:
        """Raises Repeated if the request has been answered, or KeyReused if its key belongs to another request."""
        await _check(self._database, request)

    @asynccontextmanager
    async def claim(self, request: Repeatable) -> AsyncIterator[Claim]:
        """A transaction in which the request is carried out. Nothing is kept if the block raises.

        Raises what `check` raises, or KeyInUse while another request with the key is under way.
        """
        async with self._database.transaction() as transaction:
            row = await transaction.fetch_one(_LOCK, request.user_id, request.key)
            if row is None or not row[0]:
                raise KeyInUse
            # A statement of its own sees what the last holder of the lock has committed.
            await _check(transaction, request)
            yield Claim(request, transaction)

    async def keep(self, request: Repeatable, answer: KeptAnswer) -> None:
        """Keep the answer of a request that needs no claim. Raises what `check` raises if there is one already."""
        if not await _keep(self._database, request, answer):
            await self.check(request)


async def _check(database: Database | Transaction, request: Repeatable) -> None:
    row = await database.fetch_one(_FIND, request.user_id, request.key)
    if row is None:
        return
    fingerprint, status, answer = row
    if fingerprint != request.fingerprint:
        raise KeyReused
    raise Repeated(KeptAnswer(status, answer))


async def _keep(database: Database | Transaction, request: Repeatable, answer: KeptAnswer) -> int:
    return await database.execute(_KEEP, request.user_id, request.key, request.fingerprint, answer.status, answer.json)


async def remove_old_keys(transaction: Transaction, *, seconds: float) -> bool:
    """Remove some keys that are older than `seconds`. Returns whether these were all."""
    return await transaction.execute(_REMOVE_OLD, seconds, MAX_REMOVED) < MAX_REMOVED
