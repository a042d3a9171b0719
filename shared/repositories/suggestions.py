"""SQL about suggestions while somebody types: makes, models and places, of the listings that every visitor can see.

Like the vocabulary (vocabulary.py), they are collected from time to time, and nobody learns from them what is not on
show. A name that one seller alone uses is not suggested, because it may be made up, unless it is a known make or model.
Each name is kept with the time when too many of its listings will have ended.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from shared.domain.suggestions import KnownNames, Suggested, SuggestionKind, key_of, keys_of
from shared.makes import NAMES
from shared.postgres import Database, Statement, Transaction
from shared.repositories.listings import JOINED
from shared.repositories.visibility import FOR_ANYONE
from shared.repositories.vocabulary import LEAST_SELLERS

MAX_COLLECTED = 10_000
"""Names of each kind; those of the most sellers are kept."""

KNOWN = KnownNames(NAMES.all)

_EXPRESSIONS = {
    SuggestionKind.MAKE: "l.make",
    SuggestionKind.MODEL: """CASE WHEN starts_with(lower(l.model), lower(l.make)) THEN l.model
                                  ELSE l.make || ' ' || l.model END""",
    SuggestionKind.PLACE: "l.location",
}
_COLLECT = Statement(
    "suggestions_collect",
    " UNION ALL ".join(
        f"""(SELECT '{kind.value}', name, count(*), (array_agg(until ORDER BY until DESC))[1:{LEAST_SELLERS}]
             FROM (SELECT {expression} AS name, l.seller_id, max(l.expires_at) AS until
                   FROM {JOINED} WHERE {FOR_ANYONE} AND {expression} IS NOT NULL GROUP BY 1, 2) AS offered
             GROUP BY 2 ORDER BY 3 DESC, 2 LIMIT $1)"""
        for kind, expression in _EXPRESSIONS.items()
    ),
    ("bigint",),
)
# Only what has changed is written.
_REPLACE = Statement(
    "suggestions_replace",
    """WITH found AS MATERIALIZED (
           SELECT * FROM unnest($1, $2, $3, $4, $5) AS found (key, kind, name, sellers, until)
       ), forgotten AS (
           DELETE FROM suggestions s WHERE NOT EXISTS (
               SELECT FROM found f WHERE (f.key COLLATE "C", f.kind, f.name) = (s.key, s.kind, s.name))
       )
       INSERT INTO suggestions AS known (key, kind, name, sellers, until) SELECT * FROM found
       ON CONFLICT (key, kind, name) DO UPDATE SET sellers = excluded.sellers, until = excluded.until
           WHERE (known.sellers, known.until) <> (excluded.sellers, excluded.until)""",
    ("text[]", "text[]", "text[]", "integer[]", "timestamptz[]"),
)
# The greatest character ends the range of keys with a given beginning.
_FIND = Statement(
    "suggestions_find",
    """SELECT kind, name FROM suggestions
       WHERE key >= $1 COLLATE "C" AND key < ($1 || chr(1114111)) COLLATE "C" AND until > now()
       GROUP BY kind, name ORDER BY max(sellers) DESC, kind, name LIMIT $2""",
    ("text", "bigint"),
)


class SuggestionRepository:
    """Raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, typed: str, limit: int) -> list[Suggested]:
        """Returns what begins with what was typed: first what most sellers have, then the other known names."""
        key = key_of(typed)
        if not key:
            return []
        rows = await self._database.fetch(_FIND, key, limit)
        distinct: dict[object, Suggested] = {}
        for one in (Suggested(SuggestionKind(kind), name) for kind, name in rows):
            distinct.setdefault(one.identity, one)
        for one in KNOWN.beginning_with(key, limit):
            distinct.setdefault(one.identity, one)
        return list(distinct.values())[:limit]


async def collect_suggestions(transaction: Transaction) -> bool:
    """Replace the suggestions by those of the listings on show. Reads all listings, and locks none.

    Returns True: it is done in one step.
    """
    rows = await transaction.fetch(_COLLECT, MAX_COLLECTED)
    # In a thread, because requests must not wait for it.
    await transaction.execute(_REPLACE, *await asyncio.to_thread(_entries, rows))
    return True


def _entries(rows: list[Any]) -> list[list[Any]]:
    """Returns the keys, kinds, names, numbers of sellers and ends to store."""
    merged: dict[tuple[SuggestionKind, str], tuple[int, datetime, Suggested]] = {}
    for kind, text, sellers, ends in rows:
        suggested = Suggested(SuggestionKind(kind), text.strip())
        # A known name needs one seller, any other LEAST_SELLERS.
        until = ends[0]
        own_text = KNOWN.own_text(suggested)
        if own_text is not None:
            suggested = Suggested(suggested.kind, own_text)
        elif sellers < LEAST_SELLERS:
            continue
        else:
            until = ends[-1]
        # The spelling of the most sellers is shown. Their numbers are not added: one seller may use several spellings.
        before = merged.get(suggested.identity)
        if before is None or before[0] < sellers:
            merged[suggested.identity] = (sellers, until, suggested)
    entries = [
        (key, one.kind.value, one.text, sellers, until)
        for sellers, until, one in merged.values()
        for key in sorted(keys_of(one.text))
    ]
    return [list(column) for column in zip(*entries, strict=True)] if entries else [[], [], [], [], []]
