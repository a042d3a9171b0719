"""Writes listings and categories into the database directly, in any state and with any times."""

from __future__ import annotations

import itertools
from typing import Any

from shared.postgres import Database, Statement
from tests.support.listings import analysed


class Rows:
    """Inserts rows, and returns their ids."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._numbers = itertools.count(1)

    async def category(self, visibility: str = "public") -> int:
        return await self._insert("categories", name=f"Category {next(self._numbers)}", visibility=visibility)

    async def listing(self, seller_id: int, category_id: int | None = None, **columns: Any) -> int:
        """Times are given as SQL: `created_at="now() - interval '1 year'"`."""
        category_id = await self.category() if category_id is None else category_id
        given = analysed(**{"title": "A car", "content": "It drives.", **columns})
        return await self._insert("listings", seller_id=seller_id, category_id=category_id, **given)

    async def execute(self, sql: str, *parameters: Any) -> int:
        """Run one statement, in which `%s` stands for each parameter."""
        return await self.database.execute(Statement("", sql), *parameters)

    async def fetch(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return await self.database.fetch(Statement("", sql), *parameters)

    async def _insert(self, table: str, **columns: Any) -> int:
        times = {name: value for name, value in columns.items() if name.endswith(("_at", "_until"))}
        plain = {name: value for name, value in columns.items() if name not in times}
        values = ", ".join([*["%s"] * len(plain), *times.values()])
        sql = f"INSERT INTO {table} ({', '.join([*plain, *times])}) VALUES ({values}) RETURNING id"
        [[row_id]] = await self.fetch(sql, *plain.values())
        return int(row_id)
