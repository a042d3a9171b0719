"""SQL about the trash: listings that were moved there, and listings whose category was deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.access.policy import Action
from shared.domain.listings import CategoryNeeded, ListingNotFound, SellerGone
from shared.domain.sanctions import OwnSanction
from shared.domain.users import Role
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require
from shared.repositories.audit import record
from shared.repositories.listings import JOINED, JSON, lock_category
from shared.repositories.visibility import IN_TRASH

# People take back what they deleted themselves. Who has left has deleted listings too, and does nothing any more.
_IS_OWN = "l.trashed_by = l.seller_id AND l.trashed_at > now() - make_interval(days => {days})"
_UNTIL = "CASE WHEN l.trashed_by = l.seller_id THEN l.trashed_at + make_interval(days => {days}) END"

# Each kind is read by its own index, from where the last page ended; the second kind category by category.
_FIND = Statement(
    "trash_find",
    f"""WITH found AS MATERIALIZED (
            (SELECT l.id, l.trashed_at AS at, l.trashed_by AS by_id, l.trashed_reason AS reason
             FROM listings l WHERE l.trashed_at IS NOT NULL AND (l.trashed_at, l.id) < ($1, $2)
             ORDER BY l.trashed_at DESC, l.id DESC LIMIT $3)
            UNION ALL
            (SELECT one.id, c.deleted_at, c.deleted_by, 'its category was deleted: ' || c.name
             FROM categories c CROSS JOIN LATERAL (
                 SELECT l.id FROM listings l
                 WHERE l.category_id = c.id AND l.trashed_at IS NULL AND (c.deleted_at < $1 OR l.id < $2)
                 ORDER BY l.id DESC LIMIT $3
             ) AS one
             WHERE c.deleted_at IS NOT NULL AND c.deleted_at <= $1
             ORDER BY c.deleted_at DESC, one.id DESC LIMIT $3)
            ORDER BY at DESC, id DESC LIMIT $3
        )
        SELECT {JSON}, f.at, f.by_id, b.name, f.reason, l.id, c.deleted_at IS NOT NULL, {_UNTIL.format(days="$4")}
        FROM found f JOIN listings l ON l.id = f.id JOIN categories c ON c.id = l.category_id
        JOIN users s ON s.id = l.seller_id LEFT JOIN users b ON b.id = f.by_id
        ORDER BY f.at DESC, l.id DESC""",
    ("timestamptz", "bigint", "integer", "integer"),
)
_FIND_OWN = Statement(
    "trash_find_own",
    f"""SELECT {JSON}, l.trashed_at, s.id, s.name, l.trashed_reason, l.id, c.deleted_at IS NOT NULL,
               {_UNTIL.format(days="$4")}
        FROM {JOINED}
        WHERE l.seller_id = $5 AND {_IS_OWN.format(days="$4")} AND (l.trashed_at, l.id) < ($1, $2)
        ORDER BY l.trashed_at DESC, l.id DESC LIMIT $3""",
    ("timestamptz", "bigint", "integer", "integer", "bigint"),
)
_IN_TRASH = f"""l.id = $1 AND {IN_TRASH}
    AND ($2::bigint IS NULL OR l.seller_id = $2 AND {_IS_OWN.format(days="$3")})"""
"""`$2` is a person who may only do it to their own listings; null for others."""
_LOCK = Statement(
    "trash_lock",
    f"""SELECT l.category_id, c.deleted_at IS NOT NULL, s.deleted_at IS NOT NULL, l.seller_id,
               CASE WHEN l.trashed_at IS NOT NULL THEN l.trashed_by ELSE c.deleted_by END
        FROM {JOINED} WHERE {_IN_TRASH} FOR UPDATE OF l FOR SHARE OF s""",
    ("bigint", "bigint", "integer"),
)
_IS_THERE = Statement("trash_is_there", f"SELECT FROM {JOINED} WHERE {_IN_TRASH}", ("bigint", "bigint", "integer"))
_RESTORE = Statement(
    "trash_restore",
    """UPDATE listings SET category_id = $2, trashed_at = NULL, trashed_by = NULL, trashed_reason = NULL
       WHERE id = $1""",
    ("bigint", "bigint"),
)
_DELETE = Statement("trash_delete", "DELETE FROM listings WHERE id = $1 RETURNING seller_id, title", ("bigint",))


@dataclass(frozen=True, slots=True)
class TrashedListing:
    """A listing in the trash: since when, by whom, and why. `until` is when its seller can no longer restore it."""

    json: str
    at: datetime
    by_id: int | None
    by_name: str | None
    reason: str | None
    id: int
    category_is_gone: bool
    until: datetime | None


class TrashRepository:
    """Every method raises DatabaseUnavailable while Postgres is away.

    `own_days` says how long people can restore what they deleted. `only_of` is a person who may do it only to their own
    listings, and None for those who may do it to all.
    """

    def __init__(self, database: Database | Transaction, *, own_days: int) -> None:
        self._database = database
        self._own_days = own_days

    async def find(self, *, before: tuple[datetime, int], limit: int, only_of: int | None) -> list[TrashedListing]:
        """Returns the listings in the trash, latest first; `before` is the time and id of the last one seen."""
        if only_of is None:
            rows = await self._database.fetch(_FIND, *before, limit, self._own_days)
        else:
            rows = await self._database.fetch(_FIND_OWN, *before, limit, self._own_days, only_of)
        return [TrashedListing(*row) for row in rows]

    async def require(self, listing_id: int, *, only_of: int | None = None) -> None:
        """Check that the listing is in the trash. Raises ListingNotFound if it is not."""
        if await self._database.fetch_one(_IS_THERE, listing_id, only_of, self._own_days) is None:
            raise ListingNotFound

    async def restore(self, listing_id: int, category_id: int | None, *, by: int, only_of: int | None) -> None:
        """Put a listing back into its category, or into another one. A hidden listing stays hidden.

        What another one has deleted of their own, admins restore, and moderators do not. Raises ListingNotFound,
        OwnSanction, SellerGone, CategoryNeeded, CategoryNotFound, NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            role = await require(transaction, by, Action.TRASH_RESTORE, owner_id=only_of)
            row: tuple[Any, ...] | None = await transaction.fetch_one(_LOCK, listing_id, only_of, self._own_days)
            if row is None:
                raise ListingNotFound
            own_category_id, category_is_gone, seller_is_gone, seller_id, deleted_by = row
            if seller_id == by != deleted_by and role is not Role.ADMIN:
                raise OwnSanction
            if category_id is None and category_is_gone:
                raise CategoryNeeded
            into = own_category_id if category_id is None else category_id
            await lock_category(transaction, into)
            if seller_is_gone:
                raise SellerGone
            await transaction.execute(_RESTORE, listing_id, into)
            if only_of is None:
                await record(transaction, by, "trash_restore", "listing", listing_id, details={"category_id": into})

    async def delete(self, listing_id: int, *, by: int) -> None:
        """Delete a listing permanently. The files of its pictures become abandoned.

        Raises ListingNotFound or NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.TRASH_DELETE)
            if await transaction.fetch_one(_LOCK, listing_id, None, self._own_days) is None:
                raise ListingNotFound
            row = await transaction.fetch_one(_DELETE, listing_id)
            assert row is not None
            details = {"seller_id": row[0], "title": row[1]}
            await record(transaction, by, "trash_delete", "listing", listing_id, details=details)
