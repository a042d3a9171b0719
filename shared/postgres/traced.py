"""A connection whose statements are in the traces of those who ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared import tracing
from shared.postgres import connection
from shared.postgres.statement import Statement


class Connection(connection.Connection):
    """Only a process that makes traces has such connections."""

    async def execute(
        self, statement: Statement, parameters: Sequence[Any], timeout: float
    ) -> tuple[list[tuple[Any, ...]], int]:
        active = tracing.active()
        if active is None:
            return await super().execute(statement, parameters, timeout)
        with active.statement(statement.name or "statement"):
            return await super().execute(statement, parameters, timeout)
