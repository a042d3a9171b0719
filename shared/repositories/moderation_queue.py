"""SQL about the moderators' queue: what waits, in groups, the worst first; closing a group; the numbers of the weeks.

Moderators neither see nor close what is about themselves: who is reported never learns who did that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from shared.access.policy import Action
from shared.domain.findings import Finding
from shared.domain.ids import MAX_ID
from shared.domain.moderation import (
    DEEDS,
    FINDING_WEIGHTS,
    FINDINGS,
    MAX_DEEDS,
    MAX_ENTRIES,
    WEEKS,
    Deed,
    Entry,
    EntryKind,
    Group,
    GroupPosition,
    GroupSubject,
    NothingWaits,
    SubjectKind,
    Week,
)
from shared.domain.reports import ReportedListing, ReportReason
from shared.postgres import Database, Statement
from shared.repositories.acting import require
from shared.repositories.audit import RECORD
from shared.repositories.findings import FindingRepository
from shared.repositories.holds import CLOSE, FIRST_TEXT, HAS_MESSAGES, PEOPLE, SEEN
from shared.repositories.listings import PICTURES
from shared.repositories.queue_weights import CHANGED, DONE, IS_ABOUT, weighed
from shared.repositories.turns import HURRY, TURN
from shared.repositories.visibility import FOR_ANYONE, IN_TRASH, IS_HIDDEN

# What is shown of the open entries of each kind in a group `asked`: the columns of `Entry`.
_SHOWN: Mapping[EntryKind, str] = MappingProxyType(
    {
        EntryKind.REPORT: f"""SELECT '{EntryKind.REPORT.value}' AS kind, r.id, r.created_at, r.reason, r.text, r.quote,
                r.message_id, r.reply_id, r.reporter_id, u.name AS reporter, l.id AS under_id, l.title,
                NULL::bigint AS people, NULL::text[] AS texts, NULL::bigint AS newest_id, NULL::jsonb AS pictures
            FROM reports r JOIN users u ON u.id = r.reporter_id LEFT JOIN replies p ON p.id = r.reply_id
            LEFT JOIN listings l ON l.id = p.listing_id
            WHERE r.resolved_at IS NULL AND {IS_ABOUT.format(listing="asked.listing_id", user="asked.user_id")}
            ORDER BY r.created_at DESC, r.id DESC LIMIT {MAX_ENTRIES}""",
        **{
            EntryKind(kind.value): f"""SELECT f.kind, f.id, f.created_at, f.kind AS reason, NULL::text, NULL::text,
                NULL::bigint, NULL::bigint, NULL::bigint, NULL::text, l.id AS under_id, l.title, NULL::bigint,
                NULL::text[], NULL::bigint, NULL::jsonb
            FROM findings f JOIN listings l ON l.id = f.other_listing_id
            WHERE f.kind = '{kind.value}' AND f.decided_at IS NULL AND f.listing_id = nullif(asked.listing_id, 0)
            ORDER BY f.created_at DESC, f.id DESC LIMIT {MAX_ENTRIES}"""
            for kind in FINDING_WEIGHTS
        },
        EntryKind.HELD_MESSAGES: f"""SELECT '{EntryKind.HELD_MESSAGES.value}', o.id, o.created_at,
                '{EntryKind.HELD_MESSAGES.value}' AS reason, NULL::text, {FIRST_TEXT}, NULL::bigint, NULL::bigint,
                NULL::bigint, NULL::text, NULL::bigint, NULL::text, {PEOPLE}, {SEEN}
            FROM holds o WHERE asked.listing_id = 0 AND o.user_id = asked.user_id AND o.decided_at IS NULL
              AND {HAS_MESSAGES}
            ORDER BY o.created_at DESC, o.id DESC LIMIT {MAX_ENTRIES}""",
    }
)

_SHOWN_GROUPS = f"""SELECT w.listing_id, w.user_id, w.total, w.sources::bigint, w.open::bigint, w.since, w.newest_at,
           u.id, u.name, w.done, l.id, l.title, {IN_TRASH}, {IS_HIDDEN}, l.price, l.status,
           {PICTURES} -> 0 ->> 'thumbnail_url', ({FOR_ANYONE}) IS TRUE
    FROM page w JOIN users u ON u.id = w.person_id
    LEFT JOIN listings l ON l.id = w.listing_id LEFT JOIN categories c ON c.id = l.category_id
    LEFT JOIN users s ON s.id = l.seller_id"""
_NOW = Statement("moderation_now", "SELECT now()")
# An index of the kept weights finds the groups of the page. Those that may have changed since the time $1 are weighed
# too, because their kept weights may be others.
_PAGE = Statement(
    "moderation_page",
    f"""WITH changed AS MATERIALIZED (
        {CHANGED}
    ), asked AS MATERIALIZED (
        SELECT * FROM changed
        UNION ALL (
            SELECT g.listing_id, g.user_id FROM queue_groups g
            WHERE g.person_id <> $2 AND (-g.weight, g.since, g.listing_id, g.user_id) > (-$3, $4, $5, $6)
              AND (g.listing_id, g.user_id) NOT IN (SELECT * FROM changed)
            ORDER BY -g.weight, g.since, g.listing_id, g.user_id LIMIT $7
        )
    ), {weighed("$1")}, page AS MATERIALIZED (
        SELECT * FROM weighed w
        WHERE w.person_id <> $2 AND (-w.total, w.since, w.listing_id, w.user_id) > (-$3, $4, $5, $6)
        ORDER BY w.total DESC, w.since, w.listing_id, w.user_id LIMIT $7
    )
    {_SHOWN_GROUPS} ORDER BY w.total DESC, w.since, w.listing_id, w.user_id""",
    ("timestamptz", "bigint", "bigint", "timestamptz", "bigint", "bigint", "integer"),
)
_ONE = Statement(
    "moderation_group",
    f"""WITH asked (listing_id, user_id) AS (VALUES ($3, $4)), {weighed("$1")},
        page AS (SELECT * FROM weighed WHERE person_id <> $2)
    {_SHOWN_GROUPS}""",
    ("timestamptz", "bigint", "bigint", "bigint"),
)
_ENTRIES = Statement(
    "moderation_entries",
    f"""SELECT asked.listing_id, asked.user_id, shown.*
        FROM unnest($1, $2) AS asked (listing_id, user_id) CROSS JOIN LATERAL (
            SELECT * FROM ({" UNION ALL ".join(f"({shown})" for shown in _SHOWN.values())}) AS every
            ORDER BY created_at DESC, id DESC LIMIT {MAX_ENTRIES}
        ) AS shown""",
    ("bigint[]", "bigint[]"),
)
_DEEDS = Statement(
    "moderation_deeds",
    f"""SELECT asked.person_id, done.id, done.action, done.reason, done.created_at, u.id, u.name, done.listing_id
        FROM unnest($1) AS asked (person_id) CROSS JOIN LATERAL (
            SELECT * FROM ({DONE.format(person="asked.person_id", as_of="now()")}) AS every
            ORDER BY id DESC LIMIT {MAX_DEEDS}
        ) AS done JOIN users u ON u.id = done.actor_id ORDER BY done.id DESC""",
    ("bigint[]",),
)
_PERSON_OF_LISTING = Statement("moderation_seller", "SELECT seller_id FROM listings WHERE id = $1", ("bigint",))
_PERSON = Statement("moderation_person", "SELECT id FROM users WHERE id = $1", ("bigint",))
# One statement closes the entries of each kind, and records each.
_CLOSE = (
    Statement(
        "moderation_close_reports",
        f"""WITH closed AS (
                UPDATE reports r SET resolved_at = now(), resolved_by = $3
                WHERE {IS_ABOUT.format(listing="$1", user="$2")} AND r.resolved_at IS NULL AND r.created_at <= $4
                RETURNING r.id, r.listing_id, r.user_id, r.reason
            ), recorded AS (
                {RECORD} SELECT $3, 'report_resolve', 'report', id, NULL,
                    jsonb_strip_nulls(jsonb_build_object('listing_id', listing_id, 'user_id', user_id)) ||
                    jsonb_build_object('reason', reason)
                FROM closed ORDER BY id
            )
            SELECT '{EntryKind.REPORT.value}', id FROM closed ORDER BY id""",
        ("bigint", "bigint", "bigint", "timestamptz"),
    ),
    Statement(
        "moderation_close_findings",
        f"""WITH closed AS (
                UPDATE findings f SET decided_at = now(), decided_by = $3
                WHERE f.listing_id = nullif($1, 0) AND $2 = 0 AND f.decided_at IS NULL AND f.created_at <= $4
                RETURNING f.id, f.kind, f.user_id
            ), recorded AS (
                {RECORD} SELECT $3, 'finding_resolve', 'finding', id, NULL, jsonb_build_object('user_id', user_id)
                FROM closed ORDER BY id
            )
            SELECT kind, id FROM closed ORDER BY id""",
        ("bigint", "bigint", "bigint", "timestamptz"),
    ),
    # The last one, because it takes a turn among the inserts of messages, and keeps it until the commit.
    Statement("moderation_close_holds", CLOSE, ("bigint", "bigint", "bigint", "timestamptz"), first=TURN),
)
_THIS_WEEK = "(date_trunc('week', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')"
_FIRST_WEEK = f"({_THIS_WEEK} - interval '{(WEEKS - 1) * 168} hours')"
_NUMBERS = Statement(
    "moderation_numbers",
    f"""WITH made AS MATERIALIZED (
            SELECT date_bin('168 hours', r.created_at, {_FIRST_WEEK}) AS since, r.reason, count(*) AS n
            FROM reports r WHERE r.created_at >= {_FIRST_WEEK} GROUP BY 1, 2
        ), closed AS MATERIALIZED (
            SELECT date_bin('168 hours', r.resolved_at, {_FIRST_WEEK}) AS since, count(*) AS count,
                   percentile_cont(0.5) WITHIN GROUP (
                       ORDER BY extract(epoch FROM r.resolved_at - r.created_at)::double precision) AS median
            FROM reports r WHERE r.resolved_at >= {_FIRST_WEEK} GROUP BY 1
        )
        SELECT w.since, coalesce((SELECT sum(m.n) FROM made m WHERE m.since = w.since), 0)::bigint,
               coalesce(c.count, 0), c.median,
               (SELECT coalesce(jsonb_object_agg(m.reason, m.n), '{{}}') FROM made m WHERE m.since = w.since)
        FROM (SELECT {_THIS_WEEK} - n * interval '168 hours' AS since FROM generate_series(0, {WEEKS - 1}) AS n) AS w
        LEFT JOIN closed c ON c.since = w.since ORDER BY w.since DESC""",
)


class ModerationQueue:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, after: GroupPosition | None, limit: int, *, by: int) -> list[tuple[Group, GroupPosition]]:
        """Returns groups about others than the user `by`, the worst first, each with its position."""
        if after is None:
            after = GroupPosition(await self._now(), MAX_ID, datetime.min.replace(tzinfo=UTC), 0, 0)
        as_of, seen = after.as_of, (after.weight, after.since, after.listing_id, after.user_id)
        rows = await self._database.fetch(_PAGE, as_of, by, *seen, limit)
        groups = await self._groups(rows)
        return [
            (group, GroupPosition(as_of, row[2], row[5], row[0], row[1]))
            for group, row in zip(groups, rows, strict=True)
        ]

    async def group(self, subject: GroupSubject, *, by: int) -> Group:
        """Returns one group. Raises NothingWaits if it has nothing open, or is about the user `by`."""
        rows = await self._database.fetch(_ONE, await self._now(), by, *_ids(subject))
        if not rows:
            raise NothingWaits
        [group] = await self._groups(rows)
        return group

    async def close(
        self, subject: GroupSubject, *, up_to: datetime, by: int
    ) -> tuple[int, list[tuple[EntryKind, int]]]:
        """Close what came until `up_to`, and is open: what came later, the moderator has not seen.

        Returns the person whom it is about, and the kind and id of each entry that is now closed. Raises NothingWaits
        if there is no such listing or person, or it is about the user `by`; or NoLongerAllowed.
        """
        person_id = await self.person_of(subject, by=by)
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.REPORT_RESOLVE)
            await transaction.execute(HURRY)
            rows = [row for close in _CLOSE for row in await transaction.fetch(close, *_ids(subject), by, up_to)]
        return person_id, [(EntryKind(kind), entry_id) for kind, entry_id in rows]

    async def person_of(self, subject: GroupSubject, *, by: int) -> int:
        """Returns the person whom a group is about. Raises NothingWaits if that is nobody, or the user `by`."""
        statement = _PERSON_OF_LISTING if subject.kind is SubjectKind.LISTING else _PERSON
        row = await self._database.fetch_one(statement, subject.id)
        if row is None or row[0] == by:
            raise NothingWaits
        return int(row[0])

    async def numbers(self) -> list[Week]:
        """Returns the numbers of the last weeks, this one first."""
        rows = await self._database.fetch(_NUMBERS)
        return [
            Week(since, made, resolved, median, {reason: by_reason.get(reason.value, 0) for reason in ReportReason})
            for since, made, resolved, median, by_reason in rows
        ]

    async def _now(self) -> datetime:
        row = await self._database.fetch_one(_NOW)
        assert row is not None
        now: datetime = row[0]
        return now

    async def _groups(self, rows: Sequence[tuple[Any, ...]]) -> list[Group]:
        """Returns the groups of these rows, with their latest entries and what was done before."""
        if not rows:
            return []
        asked = [row[0] for row in rows], [row[1] for row in rows]
        shown = [(row[:2], Entry(EntryKind(row[2]), *row[3:])) for row in await self._database.fetch(_ENTRIES, *asked)]
        findings: dict[int, Finding] = {}
        if found := [entry.id for _, entry in shown if entry.kind in FINDINGS]:
            findings = await FindingRepository(self._database).by_ids(found)
        entries: dict[tuple[int, int], list[Entry]] = {}
        for group, entry in shown:
            finding = findings.get(entry.id) if entry.kind in FINDINGS else None
            entries.setdefault(group, []).append(replace(entry, finding=finding))
        deeds: dict[int, list[Deed]] = {}
        for person_id, *deed in await self._database.fetch(_DEEDS, sorted({row[7] for row in rows})):
            deeds.setdefault(person_id, []).append(Deed(*deed))
        return [_group(row, entries.get((row[0], row[1]), []), deeds.get(row[7], [])) for row in rows]


def _group(row: tuple[Any, ...], entries: list[Entry], deeds: list[Deed]) -> Group:
    listing_id, user_id, weight, sources, size, since, newest_at, person_id, person_name, done, *listing = row
    if listing_id:
        subject = GroupSubject(SubjectKind.LISTING, listing_id)
    else:
        subject = GroupSubject(SubjectKind.PERSON, user_id)
    shown = ReportedListing(*listing) if listing_id else None
    return Group(
        subject,
        weight,
        sources,
        size,
        since,
        newest_at,
        person_id,
        person_name,
        shown,
        {name: done.get(name, 0) for name in DEEDS},
        entries,
        deeds,
    )


def _ids(subject: GroupSubject) -> tuple[int, int]:
    """Returns the ids of the listing and the person, of which one is 0."""
    return (subject.id, 0) if subject.kind is SubjectKind.LISTING else (0, subject.id)
