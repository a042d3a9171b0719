"""SQL about reports: users make them, moderators read and resolve them."""

from __future__ import annotations

from typing import Any

import psycopg2.errors

from shared.access.policy import Action
from shared.domain.listings import ListingNotFound
from shared.domain.reports import (
    AlreadyReported,
    QueuedReport,
    QueuePosition,
    Report,
    ReportNotFound,
    ReportReason,
)
from shared.domain.users import NoLongerAllowed
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import acting, require
from shared.repositories.audit import record
from shared.repositories.visibility import IN_TRASH

_COLUMNS = "r.id, r.listing_id, r.reporter_id, r.reason, r.text, r.created_at, r.resolved_at, r.resolved_by"

_CREATE = Statement(
    "report_create",
    f"""WITH actor AS MATERIALIZED ({acting("$2", Action.REPORT_CREATE)}), made AS (
            INSERT INTO reports (listing_id, reporter_id, reason, text) SELECT $1, id, $3, $4 FROM actor
            WHERE NOT EXISTS (
                SELECT FROM reports earlier JOIN listings l ON l.id = earlier.listing_id
                WHERE earlier.listing_id = $1 AND earlier.reporter_id = actor.id AND l.updated_at <= earlier.resolved_at
            )
            ON CONFLICT (listing_id, reporter_id) WHERE resolved_at IS NULL DO NOTHING RETURNING *
        )
        SELECT {_COLUMNS} FROM actor LEFT JOIN made r ON true""",
    ("bigint", "bigint", "text", "text"),
)
_BY_ID = Statement("report_by_id", f"SELECT {_COLUMNS} FROM reports r WHERE r.id = $1", ("bigint",))
_RESOLVE = Statement(
    "report_resolve",
    f"""UPDATE reports r SET resolved_at = now(), resolved_by = $2
        WHERE r.id = $1 AND r.resolved_at IS NULL RETURNING {_COLUMNS}""",
    ("bigint", "bigint"),
)
_NOW = Statement("report_now", "SELECT now(), coalesce(max(id), 0) FROM reports")
# The counts are those at the time when the first page was read ($1, $2). So a report that is made or resolved between
# two pages does not move a listing from one page to another.
_QUEUE = Statement(
    "report_queue",
    f"""WITH known AS MATERIALIZED (
            SELECT {_COLUMNS}, count(*) OVER (PARTITION BY r.listing_id) AS count FROM reports r
            WHERE r.id <= $2 AND (r.resolved_at IS NULL OR r.resolved_at > $1)
        )
        SELECT {_COLUMNS}, u.name, l.title, {IN_TRASH}, r.count
        FROM known r JOIN users u ON u.id = r.reporter_id JOIN listings l ON l.id = r.listing_id
        JOIN categories c ON c.id = l.category_id
        WHERE r.resolved_at IS NULL
          AND ($3::bigint IS NULL OR r.count < $3 OR (r.count = $3 AND (r.listing_id, r.id) > ($4, $5)))
        ORDER BY r.count DESC, r.listing_id, r.id LIMIT $6""",
    ("timestamptz", "bigint", "bigint", "bigint", "bigint", "integer"),
)


class ReportRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def create(self, listing_id: int, reporter_id: int, reason: ReportReason, text: str | None) -> Report:
        """Add a report.

        Raises ListingNotFound, NoLongerAllowed, or AlreadyReported: while the person's report is open, and after it was
        resolved until the listing changes.
        """
        try:
            row = await self._database.fetch_one(_CREATE, listing_id, reporter_id, reason.value, text)
        except psycopg2.errors.ForeignKeyViolation:
            raise ListingNotFound from None
        if row is None:
            raise NoLongerAllowed
        if row[0] is None:
            raise AlreadyReported
        return _report(row)

    async def queue(self, after: QueuePosition | None, limit: int) -> list[tuple[QueuedReport, QueuePosition]]:
        """Returns the open reports, each with its position. The listing with the most reports comes first."""
        if after is None:
            now = await self._database.fetch_one(_NOW)
            assert now is not None
            as_of, newest_id = now
            seen: tuple[int | None, int | None, int | None] = (None, None, None)
        else:
            as_of, newest_id = after.as_of, after.newest_id
            seen = (after.count, after.listing_id, after.report_id)
        rows = await self._database.fetch(_QUEUE, as_of, newest_id, *seen, limit)
        return [
            (QueuedReport(_report(row), *row[8:12]), QueuePosition(as_of, newest_id, row[11], row[1], row[0]))
            for row in rows
        ]

    async def by_id(self, report_id: int) -> Report:
        """Returns the report. Raises ReportNotFound."""
        row = await self._database.fetch_one(_BY_ID, report_id)
        if row is None:
            raise ReportNotFound
        return _report(row)

    async def resolve(self, report_id: int, *, by: int) -> Report:
        """Resolve a report, unless it is resolved already, and return it. Raises ReportNotFound or NoLongerAllowed."""
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.REPORT_RESOLVE)
            row = await transaction.fetch_one(_RESOLVE, report_id, by)
            if row is not None:
                details = {"listing_id": row[1], "reason": row[3]}
                await record(transaction, by, "report_resolve", "report", report_id, details=details)
                return _report(row)
        return await self.by_id(report_id)


def _report(row: tuple[Any, ...]) -> Report:
    return Report(row[0], row[1], row[2], ReportReason(row[3]), *row[4:8])
