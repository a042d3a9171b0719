"""SQL about findings: pictures and VINs of one person's listing in an earlier listing of somebody else.

A trigger in schema.sql enters listings with the same VIN. Pictures are compared by an API (api/looking.py), which takes
those that nobody has looked at yet; each is looked at once, after it was committed. So of two that are uploaded at the
same time, at least the look that comes last sees both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from shared.access.policy import Action
from shared.domain.findings import Finding, FindingKind, FindingNotFound, FoundListing
from shared.domain.pictures import Likeness
from shared.domain.reports import ReportedListing
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require
from shared.repositories.audit import record
from shared.repositories.listings import PICTURES
from shared.repositories.pictures import stored_likeness
from shared.repositories.visibility import FOR_ANYONE, IN_TRASH, IS_HIDDEN

MOST_CANDIDATES = 5_000
"""The most pictures that the index may find for one."""

_TAKE = Statement(
    "finding_take_pictures",
    """SELECT k.picture_id, k.print, l.id, l.seller_id
       FROM picture_likenesses k JOIN pictures p ON p.id = k.picture_id JOIN listings l ON l.id = p.listing_id
       WHERE k.looked_at IS NULL ORDER BY k.picture_id LIMIT $1 FOR UPDATE OF k SKIP LOCKED""",
    ("integer",),
)
_CANDIDATES = Statement(
    "finding_candidates",
    f"""SELECT o.picture_id, o.frequencies
        FROM picture_likenesses o
        JOIN pictures p ON p.id = o.picture_id JOIN listings l ON l.id = p.listing_id
        JOIN categories c ON c.id = l.category_id
        WHERE o.reach && cube($1, $2) AND l.seller_id <> $3 AND NOT {IN_TRASH} LIMIT {MOST_CANDIDATES}""",
    ("double precision[]", "double precision[]", "bigint"),
)
_PRINTS = Statement(
    "finding_prints", "SELECT picture_id, print FROM picture_likenesses WHERE picture_id = ANY ($1)", ("bigint[]",)
)
# Whichever picture came later is the copy.
_ADD = Statement(
    "finding_add_pictures",
    """INSERT INTO findings (kind, user_id, listing_id, other_listing_id, picture_id, other_picture_id)
       SELECT 'same_picture', later.seller_id, later.id, earlier.id, p.id, q.id
       FROM unnest($2) AS other (id)
       JOIN pictures p ON p.id = greatest($1, other.id) JOIN pictures q ON q.id = least($1, other.id)
       JOIN listings later ON later.id = p.listing_id JOIN listings earlier ON earlier.id = q.listing_id
       WHERE NOT EXISTS (SELECT FROM findings f WHERE f.kind = 'same_picture' AND f.listing_id = earlier.id
                         AND f.other_listing_id = later.id)
       ON CONFLICT DO NOTHING""",
    ("bigint", "bigint[]"),
)
_LOOKED = Statement(
    "finding_looked", "UPDATE picture_likenesses SET looked_at = now() WHERE picture_id = $1", ("bigint",)
)
_WIDTH = 11
"""The columns of a listing below."""

# Each side is the same query of one listing.
_SIDE = f"""SELECT l.id, l.title, {IN_TRASH} AS is_trashed, {IS_HIDDEN}, l.price, l.status,
        {PICTURES} -> 0 ->> 'thumbnail_url', ({FOR_ANYONE}) IS TRUE, s.id, s.name,
        (SELECT p.shown::json ->> 'thumbnail_url' FROM pictures p WHERE p.listing_id = l.id AND p.id = {{picture}})
    FROM listings l JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
    WHERE l.id = {{listing}}"""
_NAMES = """id, title, is_trashed, is_hidden, price, status, thumbnail_url, is_for_anyone, seller_id, seller_name,
    picture_url"""
_FOUND = _SIDE.format(listing="f.listing_id", picture="f.picture_id")
_EARLIER = _SIDE.format(listing="f.other_listing_id", picture="f.other_picture_id")
_SELECT = f"""SELECT f.id, f.kind, f.created_at, f.decided_at, f.decided_by, found.*, earlier.* FROM findings f
    CROSS JOIN LATERAL ({_FOUND}) AS found ({_NAMES})
    CROSS JOIN LATERAL ({_EARLIER}) AS earlier ({_NAMES})"""
_OPEN = Statement(
    "finding_open",
    f"""{_SELECT} WHERE f.decided_at IS NULL AND f.id < $1 AND f.user_id <> $3
          AND NOT found.is_trashed AND NOT earlier.is_trashed
        ORDER BY f.id DESC LIMIT $2""",
    ("bigint", "integer", "bigint"),
)
_BY_ID = Statement("finding_by_id", f"{_SELECT} WHERE f.id = $1 AND f.user_id <> $2", ("bigint", "bigint"))
_BY_IDS = Statement("finding_by_ids", f"{_SELECT} WHERE f.id = ANY ($1)", ("bigint[]",))
_DECIDE = Statement(
    "finding_decide",
    "UPDATE findings SET decided_at = now(), decided_by = $2 WHERE id = $1 AND decided_at IS NULL RETURNING user_id",
    ("bigint", "bigint"),
)
_REOPEN = Statement(
    "finding_reopen",
    """UPDATE findings SET decided_at = NULL, decided_by = NULL
       WHERE id = $1 AND decided_at IS NOT NULL RETURNING user_id""",
    ("bigint",),
)


_TELL = Statement(
    "finding_tell",
    """UPDATE findings SET told_at = now() WHERE id = ANY (ARRAY(
           SELECT id FROM findings WHERE told_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
       )) RETURNING id, listing_id, user_id""",
    ("integer",),
)


class NewFinding(NamedTuple):
    """A finding of which nobody was told, about the listing and its seller."""

    id: int
    listing_id: int
    seller_id: int


class TakenPicture(NamedTuple):
    """A picture whose copies nobody has looked for yet."""

    id: int
    print: bytes
    listing_id: int
    seller_id: int


class FindingRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def take(self, limit: int) -> list[TakenPicture]:
        """Returns pictures that nobody has looked at, and locks them until the transaction ends."""
        rows = await self._database.fetch(_TAKE, limit)
        return [TakenPicture(row[0], bytes(row[1]), *row[2:]) for row in rows]

    async def candidates(self, look: Likeness, seller_id: int) -> list[tuple[int, list[float]]]:
        """Returns the pictures of others than the seller that may show the same, with their frequencies."""
        lower, upper, *_ = stored_likeness(look)
        rows = await self._database.fetch(_CANDIDATES, lower, upper, seller_id)
        return [(row[0], row[1]) for row in rows]

    async def prints(self, picture_ids: Sequence[int]) -> dict[int, bytes]:
        """Returns the prints of pictures by id."""
        return {row[0]: bytes(row[1]) for row in await self._database.fetch(_PRINTS, list(picture_ids))}

    async def looked(self, picture: TakenPicture, copies: Sequence[int]) -> int:
        """Note that the picture was looked at, and enter what its copies say. Returns the number of new findings."""
        await self._database.execute(_LOOKED, picture.id)
        return await self._database.execute(_ADD, picture.id, list(copies)) if copies else 0

    async def untold(self, limit: int) -> list[NewFinding]:
        """Returns findings of which nobody was told, and notes that moderators are."""
        return [NewFinding(*row) for row in await self._database.fetch(_TELL, limit)]

    async def open(self, *, before_id: int, limit: int, by: int) -> list[Finding]:
        """Returns the open findings of which neither listing is in the trash, latest first.

        Those about the user `by` are left out: moderators neither see nor decide what is about themselves.
        """
        return [_finding(row) for row in await self._database.fetch(_OPEN, before_id, limit, by)]

    async def by_id(self, finding_id: int, *, by: int) -> Finding:
        """Returns the finding. Raises FindingNotFound, also if it is about the user `by`."""
        row = await self._database.fetch_one(_BY_ID, finding_id, by)
        if row is None:
            raise FindingNotFound
        return _finding(row)

    async def by_ids(self, finding_ids: Sequence[int]) -> dict[int, Finding]:
        """Returns findings by id."""
        return {row[0]: _finding(row) for row in await self._database.fetch(_BY_IDS, list(finding_ids))}

    async def resolve(self, finding_id: int, *, by: int) -> None:
        """Note that a moderator has dealt with it, unless one has already. Raises NoLongerAllowed."""
        await self._act(_DECIDE, "finding_resolve", finding_id, by, finding_id, by)

    async def reopen(self, finding_id: int, *, by: int) -> None:
        """Open a finding again, unless it is open. Raises NoLongerAllowed."""
        await self._act(_REOPEN, "finding_reopen", finding_id, by, finding_id)

    async def _act(self, statement: Statement, action: str, finding_id: int, by: int, *parameters: Any) -> None:
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.REPORT_RESOLVE)
            row = await transaction.fetch_one(statement, *parameters)
            if row is not None:
                await record(transaction, by, action, "finding", finding_id, details={"user_id": row[0]})


def _finding(row: tuple[Any, ...]) -> Finding:
    found, earlier = row[5 : 5 + _WIDTH], row[5 + _WIDTH :]
    return Finding(row[0], FindingKind(row[1]), row[2], row[3], row[4], _side(found), _side(earlier))


def _side(row: tuple[Any, ...]) -> FoundListing:
    return FoundListing(ReportedListing(*row[:8]), *row[8:])
