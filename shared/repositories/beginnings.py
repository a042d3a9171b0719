"""SQL that counts to how many people a new account writes first.

Each first message is entered before it is stored, one at a time for each sender. So messages that are sent at the same
time, also by several processes, do not pass the limit together. A message that is refused later counts as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.domain.messages import TooManyNewPeople
from shared.postgres import Database, Statement, Transaction
from shared.repositories.shared_reads import SharedReads

MAX_REMOVED = 1000
_MOST_AT_ONCE = 100
"""The most pairs that are entered one after the other, before those that came meanwhile."""
_MOST_KNOWN = 100_000
"""The most pairs of people that a process remembers."""

_TAKE_TURN = Statement(
    "beginning_take_turn", "SELECT pg_advisory_xact_lock(723988, ($1 % 2000000000)::integer)", ("bigint",)
)
_BEGIN = Statement(
    "beginning_begin",
    """WITH known AS MATERIALIZED (
           SELECT EXISTS (SELECT FROM messages m WHERE m.from_id = $1 AND m.to_id = $2)
               OR EXISTS (SELECT FROM messages m WHERE m.from_id = $2 AND m.to_id = $1 AND m.held_at IS NULL)
               OR EXISTS (SELECT FROM beginnings b WHERE b.user_id = $1 AND b.other_id = $2)
               OR NOT EXISTS (SELECT FROM users u WHERE u.id = $2 AND u.deleted_at IS NULL) AS it
       ), full_until AS MATERIALIZED (
           SELECT least(b.begun_at + interval '1 day', u.created_at + make_interval(days => $4)) AS again_at
           FROM beginnings b JOIN users u ON u.id = b.user_id CROSS JOIN known
           WHERE b.user_id = $1 AND b.begun_at > now() - interval '1 day' AND NOT known.it
           ORDER BY b.begun_at DESC OFFSET $3 - 1 LIMIT 1
       ), added AS (
           INSERT INTO beginnings (user_id, other_id)
           SELECT $1, $2 FROM known WHERE NOT known.it AND NOT EXISTS (SELECT FROM full_until)
       )
       SELECT again_at, greatest(ceil(extract(epoch FROM again_at - now())), 1)::integer FROM full_until""",
    ("bigint", "bigint", "integer", "integer"),
)
_REMOVE_OLD = Statement(
    "beginning_remove_old",
    """DELETE FROM beginnings WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM beginnings WHERE begun_at < now() - interval '1 day' LIMIT $1))""",
    ("integer",),
)


class BeginningRepository:
    """Each process has one, which remembers who knows whom, so that only first messages are looked up."""

    def __init__(self, database: Database, *, most: int, days: int) -> None:
        """A new account may write first to `most` people in a day; it is new for so many `days`."""
        self._database = database
        self._most = most
        self._days = days
        self._known: set[tuple[int, int]] = set()
        # A burst of messages to one person asks once, and many people's take one connection, not one each.
        self._refusals = SharedReads(self._enter, most=_MOST_AT_ONCE)

    async def begin(self, user_id: int, other_id: int) -> None:
        """Enter that the user, whose account is new, writes to this one.

        Nothing is entered if one of the two has written to the other before. Raises TooManyNewPeople, or
        DatabaseUnavailable.
        """
        pair = (user_id, other_id)
        if pair in self._known:
            return
        row = await self._refusals.get(pair)
        if row is not None:
            raise TooManyNewPeople(*row)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(pair)

    async def _enter(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], tuple[Any, ...]]:
        """Enter the pairs; returns what TooManyNewPeople says of those that may not be entered."""
        refused: dict[tuple[int, int], tuple[Any, ...]] = {}
        for user_id, other_id in pairs:
            async with self._database.transaction() as transaction:
                await transaction.fetch_one(_TAKE_TURN, user_id)
                # A statement of its own, so that it sees what the one before has entered.
                row = await transaction.fetch_one(_BEGIN, user_id, other_id, self._most, self._days)
            if row is not None:
                refused[user_id, other_id] = row
        return refused


async def remove_old_beginnings(transaction: Transaction) -> bool:
    """Remove some that are older than a day. Returns whether these were all."""
    return await transaction.execute(_REMOVE_OLD, MAX_REMOVED) < MAX_REMOVED
