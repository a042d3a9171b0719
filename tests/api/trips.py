"""Counts the trips to Postgres that requests cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.postgres.connection import Connection


@contextmanager
def counted_trips(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that are sent to Postgres inside the block, without the process's own regular ones."""
    sent: list[str] = []
    own = ('EXECUTE "node_', 'EXECUTE "picture_take_abandoned"', 'EXECUTE "chore_')
    run = Connection.run

    async def observed(self: Connection, query: str, *more: object) -> object:
        task = asyncio.current_task()
        # The API gives names to the tasks that work in the background.
        in_background = task is not None and not task.get_name().startswith("Task-")
        if not in_background and not query.startswith(own):
            sent.append(query)
        return await run(self, query, *more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "run", observed)
        yield sent
