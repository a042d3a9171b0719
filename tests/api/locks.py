"""Locks that a second connection holds, so that tests decide in which order concurrent requests go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from shared.postgres import Database, Statement, Transaction
from tests.support.waiting import PATIENCE_SECONDS

_WAITING = Statement("", "SELECT count(*) FROM pg_locks WHERE NOT granted")

_KILL = Statement("", "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")


class Held:
    """A lock that another connection holds. The statements that need it wait until it is released."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def kill_the_waiting(self) -> None:
        """End the connection that waits for the lock, as the server does when its process dies."""
        assert await self._transaction.fetch(_KILL) == [(True,)]

    async def until_waiting(self, count: int, *unless: asyncio.Task[Any]) -> None:
        """Wait until `count` statements wait for a lock, or one of the tasks is done."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            # Each question is a trip to the server, during which the others go on.
            while (await self._transaction.fetch(_WAITING))[0][0] < count and not any(task.done() for task in unless):
                pass


Hold = Callable[[str], AbstractAsyncContextManager[Held]]
"""`async with hold("LOCK TABLE ..."):` the lock is released at the end of the block."""


def holder(database: Database) -> Hold:
    """Returns a function that takes locks, each on a connection of its own to this database."""

    @asynccontextmanager
    async def holding(sql: str) -> AsyncIterator[Held]:
        async with database.transaction() as transaction:
            await transaction.execute(Statement("", sql))
            yield Held(transaction)

    return holding
