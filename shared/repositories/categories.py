"""SQL about categories. A deleted category keeps its row; from that moment all its listings count as trashed."""

from __future__ import annotations

from typing import Any

import psycopg2.errors

from shared.access.policy import Action
from shared.domain.listings import Category, CategoryNameTaken, CategoryNotFound, Visibility
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require
from shared.repositories.audit import record

_COLUMNS = "c.id, c.name, c.visibility, c.created_at"

_FIND = Statement(
    "category_find",
    f"""SELECT {_COLUMNS}, lower(c.name) FROM categories c
        WHERE c.deleted_at IS NULL AND (c.visibility = 'public' OR $1) AND lower(c.name) > $2
        ORDER BY lower(c.name) LIMIT $3""",
    ("boolean", "text", "integer"),
)
_BY_ID = Statement(
    "category_by_id", f"SELECT {_COLUMNS} FROM categories c WHERE c.id = $1 AND c.deleted_at IS NULL", ("bigint",)
)
_CREATE = Statement(
    "category_create",
    f"""INSERT INTO categories AS c (name, visibility, created_by) VALUES ($1, $2, $3)
        ON CONFLICT (lower(name)) WHERE deleted_at IS NULL DO NOTHING RETURNING {_COLUMNS}""",
    ("text", "text", "bigint"),
)
_CHANGE = Statement(
    "category_change",
    f"""UPDATE categories AS c SET name = coalesce($2, name), visibility = coalesce($3, visibility)
        WHERE id = $1 AND deleted_at IS NULL RETURNING {_COLUMNS}""",
    ("bigint", "text", "text"),
)
_DELETE = Statement(
    "category_delete",
    "UPDATE categories SET deleted_at = now(), deleted_by = $2 WHERE id = $1 AND deleted_at IS NULL RETURNING name",
    ("bigint", "bigint"),
)


class CategoryRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def find(self, *, sees_private: bool, after: str, limit: int) -> list[tuple[Category, str]]:
        """Returns the categories after the position `after`, sorted by name, each with its position."""
        rows = await self._database.fetch(_FIND, sees_private, after, limit)
        return [(_category(row), row[4]) for row in rows]

    async def by_id(self, category_id: int, *, sees_private: bool) -> Category:
        """Returns the category. Raises CategoryNotFound if it does not exist or may not be seen."""
        row = await self._database.fetch_one(_BY_ID, category_id)
        if row is None or (row[2] != Visibility.PUBLIC and not sees_private):
            raise CategoryNotFound
        return _category(row)

    async def create(self, name: str, visibility: Visibility, *, by: int) -> Category:
        """Create a category and return it. Raises CategoryNameTaken or NoLongerAllowed."""
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.CATEGORY_CREATE)
            row = await transaction.fetch_one(_CREATE, name, visibility.value, by)
            if row is None:
                raise CategoryNameTaken
            details = {"name": name, "visibility": visibility.value}
            await record(transaction, by, "category_create", "category", row[0], details=details)
            return _category(row)

    async def change(self, category_id: int, *, name: str | None, visibility: Visibility | None, by: int) -> Category:
        """Set the name and the visibility, unless they are None.

        Raises CategoryNotFound, CategoryNameTaken or NoLongerAllowed.
        """
        wanted = (("name", name), ("visibility", visibility))
        changes = {field: value for field, value in wanted if value is not None}
        try:
            async with self._database.transaction() as transaction:
                await require(transaction, by, Action.CATEGORY_CHANGE)
                row = await transaction.fetch_one(_CHANGE, category_id, name, visibility)
                if row is None:
                    raise CategoryNotFound
                if changes:
                    await record(transaction, by, "category_change", "category", category_id, details=changes)
                return _category(row)
        except psycopg2.errors.UniqueViolation:
            raise CategoryNameTaken from None

    async def delete(self, category_id: int, *, by: int) -> None:
        """Delete a category. All its listings then count as trashed, without a change of their rows.

        Waits for transactions that put a listing into the category. Raises CategoryNotFound or NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.CATEGORY_DELETE)
            row = await transaction.fetch_one(_DELETE, category_id, by)
            if row is None:
                raise CategoryNotFound
            await record(transaction, by, "category_delete", "category", category_id, details={"name": row[0]})


def _category(row: tuple[Any, ...]) -> Category:
    return Category(row[0], row[1], Visibility(row[2]), row[3])
