"""SQL that counts the groups of the moderators' queue: the number that the page shows beside "Moderation"."""

from __future__ import annotations

from shared.postgres import Database, Statement
from shared.repositories.holds import HAS_MESSAGES

# The ids of a listing and a person, of which one is 0. Only what is open is read, each kind by its index.
_COUNT = Statement(
    "open_groups_count",
    f"""SELECT count(*) FROM (
           SELECT coalesce(r.listing_id, 0), coalesce(r.user_id, 0) FROM reports r WHERE r.resolved_at IS NULL
           UNION SELECT f.listing_id, 0 FROM findings f WHERE f.decided_at IS NULL
           UNION SELECT 0, o.user_id FROM holds o WHERE o.decided_at IS NULL AND {HAS_MESSAGES}
        ) AS g (listing_id, user_id)
        WHERE g.user_id <> $1 AND g.listing_id NOT IN (SELECT own.id FROM listings own WHERE own.seller_id = $1)""",
    ("bigint",),
)


async def count_open_groups(database: Database, *, by: int) -> int:
    """Returns how many groups the queue shows to the user `by`, on all its pages. Raises DatabaseUnavailable."""
    row = await database.fetch_one(_COUNT, by)
    return int(row[0]) if row else 0
