"""SQL that ends bans, suspensions and hidings whose time has passed, as if somebody had ended them by hand.

Nothing notices by itself that a time has passed. Every API looks for it; a row that one of them holds is left to it.
One that dies before its commit has changed nothing, so another one ends them. What has ended is noted as not told yet,
in the same statement. So if the API that ended it dies, or loses Postgres, another one or a later step tells of it.
"""

from __future__ import annotations

from typing import NamedTuple

from shared.domain.sanctions import SanctionKind
from shared.postgres import Database, Statement, Transaction

# A trigger then notes in `sanctions` when they ended.
_END_BANS = Statement(
    "sanctions_end_bans",
    """WITH ended AS (
           UPDATE users SET banned_at = NULL, banned_until = NULL, ban_reason = NULL, banned_by = NULL,
               is_suspended = false
           WHERE id = ANY (ARRAY(
               SELECT id FROM users WHERE banned_until <= now() ORDER BY banned_until LIMIT $1
               FOR NO KEY UPDATE SKIP LOCKED
           )) RETURNING id
       ), noted AS (
           UPDATE sanctions s SET end_to_tell = true FROM ended
           WHERE s.user_id = ended.id AND s.kind IN ('suspension', 'ban') AND s.ended_at IS NULL
       )
       SELECT count(*) FROM ended""",
    ("integer",),
)
_END_HIDINGS = Statement(
    "sanctions_end_hidings",
    """WITH ended AS (
           UPDATE listings SET hidden_at = NULL, hidden_until = NULL, hidden_reason = NULL, hidden_by = NULL
           WHERE id = ANY (ARRAY(
               SELECT id FROM listings WHERE hidden_until <= now() ORDER BY hidden_until LIMIT $1
               FOR NO KEY UPDATE SKIP LOCKED
           )) RETURNING id
       ), noted AS (
           UPDATE sanctions s SET end_to_tell = true FROM ended
           WHERE s.listing_id = ended.id AND s.kind = 'hiding' AND s.ended_at IS NULL
       )
       SELECT count(*), EXISTS (SELECT FROM sanctions WHERE end_to_tell) FROM ended""",
    ("integer",),
)
_UNTOLD = Statement(
    "sanctions_ends_untold",
    """UPDATE sanctions SET end_to_tell = false WHERE id = ANY (ARRAY(
           SELECT id FROM sanctions WHERE end_to_tell ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
       )) RETURNING kind, user_id, listing_id""",
    ("integer",),
)


class Ended(NamedTuple):
    """The people whose ban or suspension has ended, and the listings that are no longer hidden."""

    user_ids: list[int]
    listing_ids: list[int]


class Ends(NamedTuple):
    """How many bans and hidings were ended, and whether something that has ended is not told yet."""

    bans: int
    hidings: int
    is_to_tell: bool


async def end_some(database: Database, most: int) -> Ends:
    """End at most `most` bans and `most` hidings whose time has passed. Raises DatabaseUnavailable."""
    [(bans,)] = await database.fetch(_END_BANS, most)
    # It sees what the statement before has noted, and what others have, but not what it notes itself.
    [(hidings, was_to_tell)] = await database.fetch(_END_HIDINGS, most)
    return Ends(bans, hidings, was_to_tell or hidings > 0)


async def take_untold(transaction: Transaction, most: int) -> Ended:
    """Returns at most `most` of what has ended by itself and was not told. Tell of it before the transaction commits.

    If the transaction fails, the same is returned again later. Raises DatabaseUnavailable.
    """
    rows = await transaction.fetch(_UNTOLD, most)
    is_hiding = SanctionKind.HIDING.value
    return Ended(
        sorted({user_id for kind, user_id, _ in rows if kind != is_hiding}),
        sorted({listing_id for kind, _, listing_id in rows if kind == is_hiding and listing_id is not None}),
    )
