"""SQL that makes the words of listings anew, if another version of the analysis, or no process, has made them.

Each step is a transaction that changes a bounded number of rows, after a rest, so that requests go on meanwhile.
Until a listing is analysed, it is found by the words that it had. Its texts are tidied as those of new listings are.
"""

from __future__ import annotations

import asyncio
from typing import Any

from shared.domain.analysis import VERSION
from shared.domain.indexed import INDEXED, indexed
from shared.domain.text import tidied
from shared.postgres import Statement, Transaction

MOST = 200
"""Listings that one step analyses."""
REST_SECONDS = 0.05

_TEXTS = tuple(name for name in INDEXED if name != "year")
_NEXT = Statement(
    "reanalysis_next",
    f"""SELECT id, {", ".join(INDEXED)} FROM listings WHERE analysis <> {VERSION} ORDER BY id LIMIT $1
        FOR UPDATE SKIP LOCKED""",
    ("integer",),
)
_WRITE = Statement(
    "reanalysis_write",
    f"""UPDATE listings l SET search = made.search::tsvector, analysis = {VERSION},
            {", ".join(f"{name} = made.{name}" for name in _TEXTS)}
        FROM unnest($1, $2, {", ".join(f"${number}" for number in range(3, len(_TEXTS) + 3))})
            AS made (id, search, {", ".join(_TEXTS)})
        WHERE l.id = made.id""",
    ("bigint[]", "text[]", *("text[]" for _ in _TEXTS)),
)


async def reanalyse_some(transaction: Transaction, *, rest_seconds: float = REST_SECONDS) -> bool:
    """Analyse the next listings that need it. Returns whether none is left."""
    await asyncio.sleep(rest_seconds)
    rows = await transaction.fetch(_NEXT, MOST)
    if rows:
        # In a thread: the texts may be long, and requests must not wait for all of them.
        await transaction.execute(_WRITE, *await asyncio.to_thread(_analysed, rows))
    return len(rows) < MOST


def _analysed(rows: list[Any]) -> list[list[Any]]:
    """Returns the ids, the tsvectors, and the tidied texts."""
    ids: list[int] = []
    vectors: list[str] = []
    texts: list[list[str | None]] = [[] for _ in _TEXTS]
    for listing_id, *values in rows:
        fields = {
            name: tidied(value) if isinstance(value, str) else value
            for name, value in zip(INDEXED, values, strict=True)
        }
        ids.append(listing_id)
        vectors.append(indexed(fields))
        for column, name in zip(texts, _TEXTS, strict=True):
            column.append(fields[name])
    return [ids, vectors, *texts]
