"""SQL that ends bans, suspensions and hidings whose time has passed, as if somebody had ended them by hand.

Nothing notices by itself that a time has passed. Every API looks for it; a row that one of them holds is left to it.
One that dies before its commit has changed nothing, so another one ends them.
"""

from __future__ import annotations

from typing import NamedTuple

from shared.postgres import Database, Statement

_END_BANS = Statement(
    "sanctions_end_bans",
    """UPDATE users SET banned_at = NULL, banned_until = NULL, ban_reason = NULL, banned_by = NULL, is_suspended = false
       WHERE id = ANY (ARRAY(
           SELECT id FROM users WHERE banned_until <= now() ORDER BY banned_until LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
       )) RETURNING id""",
    ("integer",),
)
_END_HIDINGS = Statement(
    "sanctions_end_hidings",
    """UPDATE listings SET hidden_at = NULL, hidden_until = NULL, hidden_reason = NULL, hidden_by = NULL
       WHERE id = ANY (ARRAY(
           SELECT id FROM listings WHERE hidden_until <= now() ORDER BY hidden_until LIMIT $1
           FOR NO KEY UPDATE SKIP LOCKED
       )) RETURNING id""",
    ("integer",),
)


class Ended(NamedTuple):
    """The people whose ban or suspension has ended, and the listings that are no longer hidden."""

    user_ids: list[int]
    listing_ids: list[int]


async def end_some(database: Database, most: int) -> Ended:
    """End at most `most` bans and `most` hidings whose time has passed. Raises DatabaseUnavailable."""
    users = await database.fetch(_END_BANS, most)
    listings = await database.fetch(_END_HIDINGS, most)
    return Ended([row[0] for row in users], [row[0] for row in listings])
