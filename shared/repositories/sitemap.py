"""SQL that lists all listings on show to everybody, for sitemaps: in files by their ids, each read in parts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.postgres import Database, Statement
from shared.repositories.visibility import FOR_ANYONE

FILE_IDS = 50_000
"""The ids that a file covers; a sitemap has at most so many addresses (sitemaps.org). A listing stays in its file."""
PART = 2_000

_ON_SHOW = f"l.status = 'available' AND {FOR_ANYONE}"
_JOINED = "listings l JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id"

# It jumps from file to file along the primary key, and so reads one row for each.
_FILES = Statement(
    "sitemap_files",
    f"""WITH RECURSIVE files (number) AS (
            SELECT (SELECT (l.id - 1) / {FILE_IDS} + 1 FROM listings l WHERE l.trashed_at IS NULL ORDER BY l.id LIMIT 1)
            UNION ALL
            SELECT (SELECT (l.id - 1) / {FILE_IDS} + 1 FROM listings l
                    WHERE l.id > files.number * {FILE_IDS} AND l.trashed_at IS NULL ORDER BY l.id LIMIT 1)
            FROM files WHERE files.number IS NOT NULL
        )
        SELECT number FROM files WHERE number IS NOT NULL LIMIT {FILE_IDS}""",
    (),
)
_FINGERPRINT = Statement(
    "sitemap_fingerprint",
    f"""SELECT count(*), coalesce(sum(hashint8extended(l.id, extract(epoch FROM l.updated_at)::bigint)), 0)::text
        FROM {_JOINED} WHERE l.id > $1 AND l.id <= $2 AND {_ON_SHOW}""",
    ("bigint", "bigint"),
)
_READ = Statement(
    "sitemap_part",
    f"""SELECT l.id, l.updated_at FROM {_JOINED}
        WHERE l.id > $1 AND l.id <= $2 AND {_ON_SHOW} ORDER BY l.id LIMIT {PART}""",
    ("bigint", "bigint"),
)


class SitemapRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def files(self) -> list[int]:
        """Returns the numbers of the files that may have listings."""
        return [row[0] for row in await self._database.fetch(_FILES)]

    async def fingerprint(self, number: int) -> str:
        """Returns what changes when a listing of the file comes, goes or changes."""
        row = await self._database.fetch_one(_FINGERPRINT, *_ids(number))
        assert row is not None
        return f"{row[0]}-{row[1]}"

    async def part(self, number: int, after_id: int) -> list[tuple[int, datetime]]:
        """Returns ids and last changes of at most PART listings of the file, from the one after `after_id` on."""
        first, last = _ids(number)
        rows: list[Any] = await self._database.fetch(_READ, max(first, after_id), last)
        return rows


def _ids(number: int) -> tuple[int, int]:
    """Returns the last id before the file, and its own last one."""
    return (number - 1) * FILE_IDS, number * FILE_IDS
