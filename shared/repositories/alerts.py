"""SQL about alerts: what people were told, as clients get it, and what they have seen.

matching.py and replies.py write alerts.

The database makes the JSON of an alert, so that REST, sockets and catching up show the same. Each statement asks again
whether the person may see the listing now: an alert of a listing that is hidden, in the trash or of somebody who has
blocked the person, or whom the person has blocked, is not shown and not counted. Only the removal and the end of a
favourite are shown without the listing, with the title that the person knew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.domain.alerts import MAX_COUNTED, WITHOUT_LISTING, AlertKind
from shared.postgres import Database, Statement, Transaction
from shared.repositories.blocked_pairs import is_blocked
from shared.repositories.listings import JSON, TIME_FORMAT
from shared.repositories.visibility import sees_hidden, visible_to

# Whoever gets alerts is registered, and so may see private listings. The role decides whether they may see hidden ones.
_JOINED = """alerts a JOIN users u ON u.id = a.user_id JOIN listings l ON l.id = a.listing_id
    JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id"""
SEES_HIDDEN = sees_hidden("u")
"""The condition on the recipient `u`, as an argument of `visible_to`."""
_WITHOUT_LISTING = ", ".join(f"'{kind.value}'" for kind in WITHOUT_LISTING)
_SHOWN = f"""NOT {is_blocked("a.user_id", "l.seller_id")}
    AND (a.reply_id IS NULL OR NOT EXISTS (
        SELECT FROM replies r WHERE r.id = a.reply_id AND {is_blocked("a.user_id", "r.author_id")}))
    AND (a.kind IN ({_WITHOUT_LISTING}) OR ({visible_to("a.user_id", "true", SEES_HIDDEN)}))"""
_TIME = "to_char({}, " + TIME_FORMAT + ")"
_JSON = f"""(SELECT row_to_json(told)::text FROM (SELECT
    a.id, a.kind, {_TIME.format("a.told_at")} AS told_at, {_TIME.format("a.seen_at")} AS seen_at,
    (SELECT one FROM (SELECT q.id, q.name FROM saved_searches q WHERE q.id = a.search_id) AS one) AS search,
    a.listing_id, CASE WHEN a.kind IN ({_WITHOUT_LISTING}) THEN a.title ELSE l.title END AS title,
    a.price, a.price_before,
    (SELECT one FROM (
         SELECT r.id, (SELECT one FROM (SELECT w.id, w.name) AS one) AS author, r.text
         FROM replies r JOIN users w ON w.id = r.author_id WHERE r.id = a.reply_id
     ) AS one) AS reply,
    {_TIME.format("a.until")} AS until,
    CASE WHEN a.kind NOT IN ({_WITHOUT_LISTING}) THEN {JSON}::json END AS listing
) AS told)"""


def unseen(condition: str, most: int) -> str:
    """Returns a query for the number of alerts `a` that satisfy the condition, are shown, and were not seen."""
    return f"""SELECT count(*) FROM (
        SELECT FROM {_JOINED} WHERE {condition} AND a.seen_at IS NULL AND {_SHOWN} LIMIT {most}) AS unseen"""


_COLUMNS = f"a.id, a.user_id, a.kind, {_JSON}"

_BY_IDS = Statement(
    "alert_by_ids", f"SELECT {_COLUMNS} FROM {_JOINED} WHERE a.id = ANY ($1) AND {_SHOWN} ORDER BY a.id", ("bigint[]",)
)
_LATEST = Statement(
    "alert_latest",
    f"""SELECT {_COLUMNS} FROM {_JOINED} WHERE a.user_id = $1 AND a.id < $2 AND {_SHOWN}
        ORDER BY a.id DESC LIMIT $3""",
    ("bigint", "bigint", "integer"),
)
_UNSEEN = Statement("alert_unseen", unseen("a.user_id = $1", MAX_COUNTED), ("bigint",))
_SEE = Statement(
    "alert_see",
    "UPDATE alerts SET seen_at = now() WHERE user_id = $1 AND id <= $2 AND seen_at IS NULL",
    ("bigint",) * 2,
)
# Like the statement for messages: also alerts that are a little older than the last one that the reader has.
_CATCH_UPS = Statement(
    "alert_catch_ups",
    f"""SELECT asked.user_id, asked.after_id, found.*
        FROM unnest($1, $2) AS asked (user_id, after_id) CROSS JOIN LATERAL (
            (SELECT {_COLUMNS} FROM {_JOINED} WHERE a.user_id = asked.user_id AND a.id <= asked.after_id AND a.told_at >
                 (SELECT told_at FROM alerts WHERE id <= asked.after_id ORDER BY id DESC LIMIT 1)
                 - $5 * interval '1 second' AND {_SHOWN}
             ORDER BY a.id DESC LIMIT $4)
            UNION ALL
            (SELECT {_COLUMNS} FROM {_JOINED} WHERE a.user_id = asked.user_id AND a.id > asked.after_id AND {_SHOWN}
             ORDER BY a.id LIMIT $3)
        ) AS found ORDER BY found.id""",
    ("bigint[]", "bigint[]", "integer", "integer", "double precision"),
)
# Ids follow time, give or take one statement, so a search from the end soon finds an alert that is old enough.
_LAST_ID_BEFORE = Statement(
    "alert_last_id_before",
    "SELECT id FROM alerts WHERE told_at < now() - $1 * interval '1 second' ORDER BY id DESC LIMIT 1",
    ("double precision",),
)
_OF_USERS_AFTER = Statement(
    "alert_of_users_after",
    f"""SELECT {_COLUMNS} FROM {_JOINED} WHERE a.id > $2 AND a.user_id = ANY ($1) AND {_SHOWN}
        ORDER BY a.id LIMIT $3""",
    ("bigint[]", "bigint", "integer"),
)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert, and its JSON for the person who is told."""

    id: int
    user_id: int
    kind: AlertKind
    json: str


_REMOVE_OLD = Statement(
    "alert_remove_old",
    """DELETE FROM alerts WHERE id = ANY (ARRAY(
           SELECT id FROM alerts WHERE told_at < now() - make_interval(days => $1)
             AND (seen_at IS NOT NULL OR told_at < now() - make_interval(days => $2)) ORDER BY told_at LIMIT $3))""",
    ("integer", "integer", "integer"),
)
_REMOVE_FURTHER = Statement(
    "alert_remove_further",
    """DELETE FROM alerts WHERE id = ANY (ARRAY(
           SELECT further.id FROM (SELECT user_id FROM alerts GROUP BY user_id HAVING count(*) > $1) AS many
           CROSS JOIN LATERAL (
               SELECT a.id FROM alerts a WHERE a.user_id = many.user_id ORDER BY a.id DESC OFFSET $1 LIMIT $2
           ) AS further LIMIT $2))""",
    ("bigint", "integer"),
)
MAX_REMOVED = 5_000
"""Alerts that one step removes."""


async def remove_old_alerts(transaction: Transaction, *, seen_days: int, unseen_days: int, most: int) -> bool:
    """Remove some alerts that are old: seen ones after `seen_days`, the others after `unseen_days`; and of whoever has
    more than `most`, the oldest.

    Returns whether these were all. What was told once is not told again: `told_matches` stays.
    """
    days = min(seen_days, unseen_days), unseen_days
    if await transaction.execute(_REMOVE_OLD, *days, MAX_REMOVED) == MAX_REMOVED:
        return False
    return await transaction.execute(_REMOVE_FURTHER, most, MAX_REMOVED) < MAX_REMOVED


class CaughtUpAlerts(NamedTuple):
    """Alerts, oldest first, and whether these are all that the client may lack."""

    alerts: list[Alert]
    is_complete: bool


class AlertRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_ids(self, alert_ids: Sequence[int]) -> list[Alert]:
        """Returns those of the alerts that their people may see, in the order of the ids."""
        return _alerts(await self._database.fetch(_BY_IDS, list(alert_ids)))

    async def latest(self, user_id: int, *, before_id: int, limit: int) -> list[Alert]:
        """Returns the person's alerts with ids below `before_id`, latest first."""
        return _alerts(await self._database.fetch(_LATEST, user_id, before_id, limit))

    async def unseen(self, user_id: int) -> int:
        """Returns how many alerts the person has not seen, counted up to MAX_COUNTED."""
        row = await self._database.fetch_one(_UNSEEN, user_id)
        return int(row[0]) if row else 0

    async def see(self, user_id: int, up_to: int) -> bool:
        """Mark the person's alerts as seen, up to and including this id. Returns whether any was not."""
        return await self._database.execute(_SEE, user_id, up_to) > 0

    async def catch_ups(
        self, asked: Sequence[tuple[int, int]], *, limit: int, overlap_seconds: float
    ) -> dict[tuple[int, int], CaughtUpAlerts]:
        """Returns by (user id, `after_id`) the alerts that a client of the user may lack; at most `limit` for each.

        Ids are committed in order, but each API publishes by itself, so alerts up to `overlap_seconds` older than the
        last one seen are repeated, in at most half of the limit; a client drops the ids that it has.
        """
        users, ids = [pair[0] for pair in asked], [pair[1] for pair in asked]
        found: dict[tuple[int, int], list[Alert]] = {pair: [] for pair in asked}
        rows = await self._database.fetch(_CATCH_UPS, users, ids, limit + 1, limit // 2, overlap_seconds)
        for user_id, after_id, *row in rows:
            found[user_id, after_id] += _alerts([row])
        return {pair: CaughtUpAlerts(alerts[:limit], len(alerts) <= limit) for pair, alerts in found.items()}

    async def last_id_before(self, seconds: float) -> int:
        """Returns the greatest id of an alert that is older than `seconds`; 0 if there is none."""
        row = await self._database.fetch_one(_LAST_ID_BEFORE, seconds)
        return row[0] if row else 0

    async def of_users_after(self, user_ids: Sequence[int], after_id: int, limit: int) -> list[Alert]:
        """Returns the alerts of any of the users with ids greater than `after_id`, oldest first."""
        return _alerts(await self._database.fetch(_OF_USERS_AFTER, list(user_ids), after_id, limit))


def _alerts(rows: Sequence[Sequence[Any]]) -> list[Alert]:
    return [Alert(row[0], row[1], AlertKind(row[2]), row[3]) for row in rows]
