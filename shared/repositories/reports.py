"""SQL about reports: users make them, moderators read and resolve them."""

from __future__ import annotations

from typing import Any

import psycopg2.errors

from shared.access.policy import Action
from shared.domain.listings import ListingNotFound
from shared.domain.messages import Message
from shared.domain.reports import (
    MESSAGES_AROUND,
    AlreadyReported,
    QueuedReport,
    QueuePosition,
    Report,
    ReportedListing,
    ReportedMessages,
    ReportNotFound,
    ReportReason,
    Subject,
    around,
)
from shared.domain.users import NoLongerAllowed
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import acting, require
from shared.repositories.audit import record
from shared.repositories.listings import PICTURES
from shared.repositories.message_columns import COLUMNS as MESSAGE
from shared.repositories.visibility import FOR_ANYONE, IN_TRASH, IS_HIDDEN

_COLUMNS = """r.id, r.listing_id, r.reporter_id, r.reason, r.text, r.created_at, r.resolved_at, r.resolved_by,
    r.user_id, r.message_id, r.reply_id, r.quote,
    coalesce(r.user_id, (SELECT about.seller_id FROM listings about WHERE about.id = r.listing_id))"""
_WIDTH = 13
"""The number of these columns."""

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
# When the person last wrote to the reporter, wrote a reply, published or changed a listing, or took another name.
_LAST_DEED = """greatest(
    (SELECT m.inserted_at FROM messages m WHERE m.from_id = {user} AND m.to_id = {reporter} AND m.held_at IS NULL
     ORDER BY m.id DESC LIMIT 1),
    (SELECT max(r.created_at) FROM replies r WHERE r.author_id = {user}),
    (SELECT max(l.updated_at) FROM listings l WHERE l.seller_id = {user}),
    (SELECT u.renamed_at FROM users u WHERE u.id = {user}))"""
_CREATE_ABOUT = Statement(
    "report_create_about",
    f"""WITH actor AS MATERIALIZED ({acting("$1", Action.REPORT_CREATE)}), made AS (
            INSERT INTO reports (reporter_id, reason, text, user_id, message_id, reply_id, quote)
            SELECT id, $2, $3, $4, $5, $6, $7 FROM actor
            WHERE NOT EXISTS (
                SELECT FROM reports earlier
                WHERE earlier.user_id = $4 AND earlier.reporter_id = actor.id
                  AND coalesce(earlier.message_id, 0) = coalesce($5, 0)
                  AND coalesce(earlier.reply_id, 0) = coalesce($6, 0)
                  AND earlier.resolved_at >= coalesce({_LAST_DEED.format(user="$4", reporter="actor.id")}, '-infinity')
            )
            ON CONFLICT (user_id, reporter_id, coalesce(message_id, 0), coalesce(reply_id, 0))
                WHERE user_id IS NOT NULL AND resolved_at IS NULL
            DO NOTHING RETURNING *
        )
        SELECT {_COLUMNS} FROM actor LEFT JOIN made r ON true""",
    ("bigint", "text", "text", "bigint", "bigint", "bigint", "text"),
)
_RECEIVED = Statement(
    "report_message_received",
    """SELECT from_id, CASE WHEN deleted_at IS NULL THEN text END FROM messages
       WHERE id = $1 AND to_id = $2 AND held_at IS NULL""",
    ("bigint", "bigint"),
)
# Who is reported, also if it is a moderator, must not learn who did that: to them, the report does not exist.
_IS_ABOUT_OTHERS = """coalesce(r.user_id, (SELECT l.seller_id FROM listings l WHERE l.id = r.listing_id)) <> $2"""
_BY_ID = Statement(
    "report_by_id", f"SELECT {_COLUMNS} FROM reports r WHERE r.id = $1 AND {_IS_ABOUT_OTHERS}", ("bigint", "bigint")
)
# The messages of both sides, each by their own index, on one side of the reported message.
_NEAR = """(SELECT {columns} FROM messages m
        WHERE m.from_id = $1 AND m.to_id = $2 AND m.id {side} $3 AND m.held_at IS NULL
        ORDER BY m.id {order} LIMIT {most})
    UNION ALL
    (SELECT {columns} FROM messages m
        WHERE m.from_id = $2 AND m.to_id = $1 AND m.id {side} $3 AND m.held_at IS NULL
        ORDER BY m.id {order} LIMIT {most})
    ORDER BY id {order} LIMIT {most}"""
_SIDES = ("bigint", "bigint", "bigint")
_BEFORE = Statement(
    "report_messages_before", _NEAR.format(columns=MESSAGE, side="<", order="DESC", most=MESSAGES_AROUND), _SIDES
)
_SINCE = Statement(
    "report_messages_since", _NEAR.format(columns=MESSAGE, side=">=", order="ASC", most=MESSAGES_AROUND + 1), _SIDES
)
_NAMES = Statement(
    "report_names",
    "SELECT one.name, other.name FROM users one, users other WHERE one.id = $1 AND other.id = $2",
    ("bigint", "bigint"),
)
_RESOLVE = Statement(
    "report_resolve",
    f"""UPDATE reports r SET resolved_at = now(), resolved_by = $2
        WHERE r.id = $1 AND r.resolved_at IS NULL AND {_IS_ABOUT_OTHERS} RETURNING {_COLUMNS}""",
    ("bigint", "bigint"),
)
_REOPEN = Statement(
    "report_reopen",
    f"""UPDATE reports r SET resolved_at = NULL, resolved_by = NULL
        WHERE r.id = $1 AND r.resolved_at IS NOT NULL AND {_IS_ABOUT_OTHERS} RETURNING {_COLUMNS}""",
    ("bigint", "bigint"),
)
# Listings of the user, read once: the sellers of all the reported ones would be many more.
_OF_OTHERS = """coalesce(r.user_id, 0) <> {by}
        AND coalesce(r.listing_id, 0) NOT IN (SELECT own.id FROM listings own WHERE own.seller_id = {by})"""
_OPEN = Statement(
    "report_open_count",
    f"SELECT count(*) FROM reports r WHERE r.resolved_at IS NULL AND {_OF_OTHERS.format(by='$1')}",
    ("bigint",),
)
_NOW = Statement("report_now", "SELECT now(), coalesce(max(id), 0) FROM reports")
# The reports about one listing are together, and so are those about one person. The counts are those at the time when
# the first page was read ($1, $2). So a report that is made or resolved between two pages moves no others. To count
# them, an index of the open ones is enough; only those of the page are looked up.
_QUEUE = Statement(
    "report_queue",
    f"""WITH known AS (
            SELECT id, listing_id, user_id, true AS is_open FROM reports WHERE resolved_at IS NULL AND id <= $2
            UNION ALL SELECT id, listing_id, user_id, false FROM reports WHERE resolved_at > $1 AND id <= $2
        ), counted AS (
            SELECT r.*, coalesce(r.listing_id, 0) AS of_listing, coalesce(r.user_id, 0) AS of_user,
                   count(*) OVER (PARTITION BY r.listing_id, r.user_id) AS count
            FROM known r
        ), shown AS MATERIALIZED (
            SELECT r.id, r.of_listing, r.of_user, r.count FROM counted r
            WHERE r.is_open AND {_OF_OTHERS.format(by="$8")}
              AND ($3::bigint IS NULL OR r.count < $3
                   OR (r.count = $3 AND (r.of_listing, r.of_user, r.id) > ($4, $5, $6)))
            ORDER BY r.count DESC, r.of_listing, r.of_user, r.id LIMIT $7
        )
        SELECT {_COLUMNS}, u.name, l.id, l.title, {IN_TRASH}, {IS_HIDDEN}, l.price, l.status,
               {PICTURES} -> 0 ->> 'thumbnail_url', ({FOR_ANYONE}) IS TRUE, about.id, about.name, p.count
        FROM shown p JOIN reports r ON r.id = p.id JOIN users u ON u.id = r.reporter_id
        LEFT JOIN replies written ON written.id = r.reply_id
        LEFT JOIN listings l ON l.id = coalesce(r.listing_id, written.listing_id)
        LEFT JOIN categories c ON c.id = l.category_id LEFT JOIN users s ON s.id = l.seller_id
        JOIN users about ON about.id = coalesce(r.user_id, l.seller_id)
        ORDER BY p.count DESC, p.of_listing, p.of_user, p.id""",
    ("timestamptz", "bigint", "bigint", "bigint", "bigint", "bigint", "integer", "bigint"),
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

    async def create_about(self, subject: Subject, reporter_id: int, reason: ReportReason, text: str | None) -> Report:
        """Add a report about a person.

        Raises NoLongerAllowed, or AlreadyReported: while the same report is open, and after it was resolved until the
        person writes to the reporter, publishes something or takes another name.
        """
        about = (subject.user_id, subject.message_id, subject.reply_id, subject.quote)
        row = await self._database.fetch_one(_CREATE_ABOUT, reporter_id, reason.value, text, *about)
        if row is None:
            raise NoLongerAllowed
        if row[0] is None:
            raise AlreadyReported
        return _report(row)

    async def received(self, message_id: int, by: int) -> Subject | None:
        """Returns a message to the user `by`, as what a report can be about; None if there is no such message."""
        row = await self._database.fetch_one(_RECEIVED, message_id, by)
        return None if row is None else Subject(row[0], message_id=message_id, quote=row[1])

    async def messages(self, report_id: int, *, by: int) -> ReportedMessages:
        """Returns the reported message with those around it, and records that the moderator has looked at them.

        Raises ReportNotFound, also if the report is not about a message; or NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.REPORT_READ)
            row = await transaction.fetch_one(_BY_ID, report_id, by)
            report = None if row is None else _report(row)
            if report is None or report.subject is None or report.subject.message_id is None:
                raise ReportNotFound
            sides = (report.subject.user_id, report.reporter_id)
            names = await transaction.fetch_one(_NAMES, *sides)
            assert names is not None
            before, since = [
                [Message(*found) for found in await transaction.fetch(near, *sides, report.subject.message_id)]
                for near in (_BEFORE, _SINCE)
            ]
            earlier, later = around(before, since[1:])
            # The id of the message would tell a reported admin, who may read the log, who got it.
            await record(
                transaction, by, "report_look", "report", report_id, details={"user_id": report.subject.user_id}
            )
            return ReportedMessages(report, (names[0], names[1]), [*reversed(earlier), *since[:1], *later])

    async def queue(
        self, after: QueuePosition | None, limit: int, *, by: int
    ) -> list[tuple[QueuedReport, QueuePosition]]:
        """Returns the open reports about others than the user `by`, each with its position.

        The listing with the most reports comes first.
        """
        if after is None:
            now = await self._database.fetch_one(_NOW)
            assert now is not None
            as_of, newest_id = now
            seen: tuple[int | None, int | None, int | None, int | None] = (None, None, None, None)
        else:
            as_of, newest_id = after.as_of, after.newest_id
            seen = (after.count, after.listing_id, after.user_id, after.report_id)
        rows = await self._database.fetch(_QUEUE, as_of, newest_id, *seen, limit, by)
        return [
            (_queued(row), QueuePosition(as_of, newest_id, row[-1], row[1] or 0, row[8] or 0, row[0])) for row in rows
        ]

    async def open_count(self, *, by: int) -> int:
        """Returns the number of open reports about others than the user `by`."""
        row = await self._database.fetch_one(_OPEN, by)
        return int(row[0]) if row else 0

    async def by_id(self, report_id: int, *, by: int) -> Report:
        """Returns the report. Raises ReportNotFound, also if it is about the user `by`."""
        row = await self._database.fetch_one(_BY_ID, report_id, by)
        if row is None:
            raise ReportNotFound
        return _report(row)

    async def resolve(self, report_id: int, *, by: int) -> Report:
        """Resolve a report, unless it is resolved already, and return it. Raises ReportNotFound or NoLongerAllowed."""
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.REPORT_RESOLVE)
            row = await transaction.fetch_one(_RESOLVE, report_id, by)
            if row is not None:
                await record(transaction, by, "report_resolve", "report", report_id, details=_details(row))
                return _report(row)
        return await self.by_id(report_id, by=by)

    async def reopen(self, report_id: int, *, by: int) -> Report:
        """Open a report again, unless it is open, and return it.

        Raises ReportNotFound, NoLongerAllowed, or AlreadyReported if its reporter has made another meanwhile.
        """
        try:
            async with self._database.transaction() as transaction:
                await require(transaction, by, Action.REPORT_RESOLVE)
                row = await transaction.fetch_one(_REOPEN, report_id, by)
                if row is not None:
                    await record(transaction, by, "report_reopen", "report", report_id, details=_details(row))
                    return _report(row)
        except psycopg2.errors.UniqueViolation:
            raise AlreadyReported from None
        return await self.by_id(report_id, by=by)


def _report(row: tuple[Any, ...]) -> Report:
    subject = None if row[8] is None else Subject(*row[8 : _WIDTH - 1])
    return Report(row[0], row[1], row[2], ReportReason(row[3]), row[4], row[5], row[6], row[7], subject, row[12])


def _queued(row: tuple[Any, ...]) -> QueuedReport:
    reporter_name, *listing, person_id, person_name, count = row[_WIDTH:]
    shown = None if listing[0] is None else ReportedListing(*listing)
    return QueuedReport(_report(row), reporter_name, shown, person_id, person_name, count)


def _details(row: tuple[Any, ...]) -> dict[str, Any]:
    """What the audit log keeps of a report."""
    about = {"listing_id": row[1]} if row[8] is None else {"user_id": row[8]}
    return {**about, "reason": row[3]}
