"""SQL about the trash: listings that were moved there, and listings whose category was deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.access.policy import Action
from shared.domain.listings import CategoryNeeded, ListingNotFound, SellerGone
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require
from shared.repositories.audit import record
from shared.repositories.listings import JOINED, JSON, lock_category
from shared.repositories.visibility import IN_TRASH

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
        SELECT {JSON}, f.at, f.by_id, b.name, f.reason, l.id, c.deleted_at IS NOT NULL
        FROM found f JOIN listings l ON l.id = f.id JOIN categories c ON c.id = l.category_id
        JOIN users s ON s.id = l.seller_id LEFT JOIN users b ON b.id = f.by_id
        ORDER BY f.at DESC, l.id DESC""",
    ("timestamptz", "bigint", "integer"),
)
_IN_TRASH = f"l.id = $1 AND {IN_TRASH}"
_LOCK = Statement(
    "trash_lock",
    f"""SELECT l.category_id, c.deleted_at IS NOT NULL, s.deleted_at IS NOT NULL FROM {JOINED}
        WHERE {_IN_TRASH} FOR UPDATE OF l FOR SHARE OF s""",
    ("bigint",),
)
_IS_THERE = Statement("trash_is_there", f"SELECT FROM {JOINED} WHERE {_IN_TRASH}", ("bigint",))
_RESTORE = Statement(
    "trash_restore",
    """UPDATE listings SET category_id = $2, trashed_at = NULL, trashed_by = NULL, trashed_reason = NULL
       WHERE id = $1""",
    ("bigint", "bigint"),
)
_DELETE = Statement("trash_delete", "DELETE FROM listings WHERE id = $1 RETURNING seller_id, title", ("bigint",))


@dataclass(frozen=True, slots=True)
class TrashedListing:
    """A listing in the trash: since when, by whom, and why."""

    json: str
    at: datetime
    by_id: int | None
    by_name: str | None
    reason: str | None
    id: int
    category_is_gone: bool


class TrashRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def find(self, *, before: tuple[datetime, int], limit: int) -> list[TrashedListing]:
        """Returns the listings in the trash, latest first; `before` is the time and id of the last one seen."""
        return [TrashedListing(*row) for row in await self._database.fetch(_FIND, *before, limit)]

    async def require(self, listing_id: int) -> None:
        """Check that the listing is in the trash. Raises ListingNotFound if it is not."""
        if await self._database.fetch_one(_IS_THERE, listing_id) is None:
            raise ListingNotFound

    async def restore(self, listing_id: int, category_id: int | None, *, by: int) -> None:
        """Put a listing back into its category, or into another one. A hidden listing stays hidden.

        Raises ListingNotFound, SellerGone, CategoryNeeded, CategoryNotFound, NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.TRASH_RESTORE)
            row: tuple[Any, ...] | None = await transaction.fetch_one(_LOCK, listing_id)
            if row is None:
                raise ListingNotFound
            own_category_id, category_is_gone, seller_is_gone = row
            if category_id is None and category_is_gone:
                raise CategoryNeeded
            into = own_category_id if category_id is None else category_id
            await lock_category(transaction, into)
            if seller_is_gone:
                raise SellerGone
            await transaction.execute(_RESTORE, listing_id, into)
            await record(transaction, by, "trash_restore", "listing", listing_id, details={"category_id": into})

    async def delete(self, listing_id: int, *, by: int) -> None:
        """Delete a listing permanently. The files of its pictures become abandoned.

        Raises ListingNotFound or NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.TRASH_DELETE)
            if await transaction.fetch_one(_LOCK, listing_id) is None:
                raise ListingNotFound
            row = await transaction.fetch_one(_DELETE, listing_id)
            assert row is not None
            details = {"seller_id": row[0], "title": row[1]}
            await record(transaction, by, "trash_delete", "listing", listing_id, details=details)
