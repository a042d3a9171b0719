"""SQL that weighs the groups of the moderators' queue, and keeps their weights: an index then finds the worst.

Whatever changes a weight also adds a row to `queue_changes`, in its transaction, by a trigger in schema.sql: it waits
for nobody and makes nobody wait. An API weighs those groups anew a little later (api/looking.py). Until then each page
of the queue weighs them itself, so it has no weight that is out of date.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from shared.domain.moderation import (
    DEEDS,
    FINDING_WEIGHTS,
    HOLD_WEIGHT,
    MAX_WEIGHT_OF_DEEDS,
    VERSION_OF_WEIGHTS,
    WEIGHTS,
    EntryKind,
)
from shared.postgres import Database, Statement
from shared.repositories.holds import HAS_MESSAGES, NEWEST_AT

IS_ABOUT = "(r.listing_id = nullif({listing}, 0) OR r.user_id = nullif({user}, 0))"
"""The condition that `reports r` is about a listing or a person; the other one of the two ids is 0. Each has an
index."""

_WEIGHT = " ".join(f"WHEN '{reason.value}' THEN {weight}" for reason, weight in WEIGHTS.items())

# Another kind of entry is another query here, of all that was open at the time {as_of} in the group `asked`, with the
# same columns: who reported it (0 if the program found it), its weight, when it was made, when its newest part was
# made, and when it was closed. What is open and what was closed since are two queries where each has an index.
_SOURCES: Mapping[EntryKind, str] = MappingProxyType(
    {
        EntryKind.REPORT: " UNION ALL ".join(
            f"""SELECT r.reporter_id AS source_id, CASE r.reason {_WEIGHT} ELSE 1 END AS weight, r.created_at,
                r.created_at AS newest_at, r.resolved_at AS closed_at
            FROM reports r WHERE {IS_ABOUT.format(listing="asked.listing_id", user="asked.user_id")}
              AND r.created_at <= {{as_of}} AND {condition}"""
            for condition in ("r.resolved_at IS NULL", "r.resolved_at > {as_of}")
        ),
        **{
            EntryKind(kind.value): f"""SELECT 0::bigint AS source_id, {weight} AS weight, f.created_at,
                f.created_at AS newest_at, f.decided_at AS closed_at
            FROM findings f WHERE f.listing_id = nullif(asked.listing_id, 0) AND f.kind = '{kind.value}'
              AND f.created_at <= {{as_of}} AND (f.decided_at IS NULL OR f.decided_at > {{as_of}})"""
            for kind, weight in FINDING_WEIGHTS.items()
        },
        EntryKind.HELD_MESSAGES: " UNION ALL ".join(
            f"""SELECT 0::bigint AS source_id, {HOLD_WEIGHT} AS weight, o.created_at, {NEWEST_AT} AS newest_at,
                o.decided_at AS closed_at
            FROM holds o WHERE o.user_id = nullif(asked.user_id, 0) AND o.created_at <= {{as_of}} AND {condition}"""
            for condition in ("o.decided_at > {as_of}", f"o.decided_at IS NULL AND {HAS_MESSAGES}")
        ),
    }
)

_LISTING_DEEDS = ", ".join(f"'{name}'" for name in DEEDS if name.startswith("listing_"))
_PERSON_DEEDS = ", ".join(f"'{name}'" for name in DEEDS if not name.startswith("listing_"))
# An act and the sanction that it gives have the time of their transaction. One that was lifted, because the person
# objected and was right, is held against nobody from then on.
_STANDS = """NOT EXISTS (SELECT FROM sanctions s
            WHERE s.user_id = {person} AND s.given_at = a.created_at AND s.outcome = 'lifted'
              AND s.decided_at <= {as_of})"""
DONE = f"""SELECT a.id, a.action, a.reason, a.created_at, a.actor_id, NULL::bigint AS listing_id FROM audit a
        WHERE a.target_type = 'user' AND a.target_id = {{person}} AND a.action IN ({_PERSON_DEEDS})
          AND {_STANDS}
    UNION ALL
    SELECT a.id, a.action, a.reason, a.created_at, a.actor_id, own.id FROM listings own
        JOIN audit a ON a.target_type = 'listing' AND a.target_id = own.id AND a.action IN ({_LISTING_DEEDS})
        WHERE own.seller_id = {{person}} AND {_STANDS}"""
"""What was done before to a person, and stood at the time `as_of`."""
_DEED_WEIGHT = " ".join(f"WHEN '{name}' THEN {weight}" for name, weight in DEEDS.items())

_WEIGHED = f"""entries AS (
        SELECT asked.listing_id, asked.user_id, every.* FROM asked CROSS JOIN LATERAL (
            {" UNION ALL ".join(_SOURCES.values())}
        ) AS every
    ), told AS (
        SELECT listing_id, user_id, source_id, max(weight) AS weight, count(*) FILTER (WHERE closed_at IS NULL) AS open,
               min(created_at) AS since, max(newest_at) FILTER (WHERE closed_at IS NULL) AS newest_at
        FROM entries GROUP BY 1, 2, 3
    ), found AS (
        SELECT listing_id, user_id, sum(weight) AS weight,
               count(*) FILTER (WHERE source_id > 0 AND open > 0) AS sources,
               sum(open) AS open, min(since) AS since, max(newest_at) AS newest_at
        FROM told GROUP BY 1, 2 HAVING sum(open) > 0
    ), about AS (
        SELECT f.*, coalesce(nullif(f.user_id, 0), l.seller_id) AS person_id
        FROM found f LEFT JOIN listings l ON l.id = f.listing_id
    ), people AS MATERIALIZED (
        SELECT person.person_id,
               coalesce(jsonb_object_agg(deed.action, deed.n) FILTER (WHERE deed.n > 0), '{{{{}}}}') AS done,
               least(coalesce(sum(deed.n * CASE deed.action {_DEED_WEIGHT} END), 0), {MAX_WEIGHT_OF_DEEDS}) AS weight
        FROM (SELECT DISTINCT person_id FROM about) AS person LEFT JOIN LATERAL (
            SELECT done.action, count(*) AS n FROM ({DONE.format(person="person.person_id", as_of="{as_of}")}) AS done
            WHERE done.created_at <= {{as_of}} GROUP BY 1
        ) AS deed ON true GROUP BY 1
    ), weighed AS (
        SELECT a.*, p.done, (a.weight + p.weight)::bigint AS total FROM about a JOIN people p USING (person_id)
    )"""


def weighed(as_of: str) -> str:
    """Returns common table expressions, of which `weighed` has the groups in `asked (listing_id, user_id)`.

    It has them as they were at the time `as_of`, SQL. What was closed later still counts for the weight, so that no
    group moves between two pages; a group is there while one of its entries is open.
    """
    return _WEIGHED.format(as_of=as_of)


CHANGED = f"""SELECT c.listing_id, c.user_id FROM queue_changes c WHERE c.person_id = 0
        UNION SELECT g.listing_id, g.user_id FROM queue_changes c JOIN queue_groups g ON g.person_id = c.person_id
        UNION SELECT g.listing_id, g.user_id FROM queue_groups g WHERE g.changed_at > $1
        UNION SELECT g.listing_id, g.user_id FROM queue_groups g WHERE g.version < {VERSION_OF_WEIGHTS}
        UNION SELECT g.listing_id, g.user_id FROM queue_groups g WHERE g.version > {VERSION_OF_WEIGHTS}"""
"""The groups whose kept weight may not be the one of the time $1."""

_WAITING = Statement(
    "queue_waiting_changes",
    f"""SELECT EXISTS (SELECT FROM queue_changes)
            OR EXISTS (SELECT FROM queue_groups WHERE version < {VERSION_OF_WEIGHTS})""",
)
# One at a time, or an earlier weight could take the place of a later one. A change was committed together with its row
# in `queue_changes`, so this statement sees every change whose row it takes.
_WEIGH = Statement(
    "queue_weigh",
    f"""WITH taken AS (
            DELETE FROM queue_changes WHERE number = ANY (
                ARRAY(SELECT number FROM queue_changes ORDER BY number LIMIT $1)
            ) RETURNING listing_id, user_id, person_id, changed_at
        ), asked AS MATERIALIZED (
            SELECT listing_id, user_id, max(changed_at) AS changed_at FROM (
                SELECT listing_id, user_id, changed_at FROM taken WHERE person_id = 0
                UNION ALL SELECT g.listing_id, g.user_id, greatest(g.changed_at, t.changed_at)
                FROM taken t JOIN queue_groups g ON g.person_id = t.person_id
                UNION ALL (SELECT listing_id, user_id, changed_at FROM queue_groups
                           WHERE version < {VERSION_OF_WEIGHTS} ORDER BY version LIMIT $1)
            ) AS every GROUP BY 1, 2
        ), {weighed("'infinity'::timestamptz")}, kept AS (
            INSERT INTO queue_groups AS g (listing_id, user_id, person_id, weight, since, changed_at, version)
            SELECT w.listing_id, w.user_id, w.person_id, w.total, w.since, a.changed_at, {VERSION_OF_WEIGHTS}
            FROM weighed w JOIN asked a USING (listing_id, user_id)
            ON CONFLICT (listing_id, user_id) DO UPDATE SET person_id = EXCLUDED.person_id, weight = EXCLUDED.weight,
                since = EXCLUDED.since, changed_at = greatest(g.changed_at, EXCLUDED.changed_at),
                version = EXCLUDED.version
        ), gone AS (
            DELETE FROM queue_groups g USING asked a WHERE (g.listing_id, g.user_id) = (a.listing_id, a.user_id)
              AND (g.listing_id, g.user_id) NOT IN (SELECT listing_id, user_id FROM weighed)
        )
        SELECT count(*) FROM asked""",
    ("integer",),
    first="SELECT pg_advisory_xact_lock(7239870114)",
)


class QueueWeights:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def weigh(self, most: int) -> int:
        """Weigh the groups of at most `most` changes anew, and keep their weights. Returns the number of groups."""
        if await self._database.fetch(_WAITING) == [(False,)]:
            return 0
        [(groups,)] = await self._database.fetch(_WEIGH, most)
        return int(groups)
