"""Lets one process at a time do periodic work: each kind of work has a row in `chores`, with the time it was last done.

Work has one or more steps, each in a transaction of its own. The row is locked for as long as a step takes, and other
processes skip it meanwhile. If the process dies, its transaction ends, and another process goes on: what earlier steps
have done stays done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.postgres import Database, Statement, Transaction

Work = Callable[[Transaction], Awaitable[bool]]
"""Does one step, and returns whether it was the last one."""

_ENTER = Statement(
    "chore_enter", "INSERT INTO chores (name, done_at) VALUES ($1, '-infinity') ON CONFLICT DO NOTHING", ("text",)
)
_TAKE = Statement(
    "chore_take",
    """SELECT FROM chores WHERE name = $1 AND done_at <= now() - make_interval(secs => $2)
       FOR UPDATE SKIP LOCKED""",
    ("text", "double precision"),
)
_DONE = Statement("chore_done", "UPDATE chores SET done_at = clock_timestamp() WHERE name = $1", ("text",))


class ChoreRepository:
    """Every method raises DatabaseUnavailable while Postgres is away. Needs a database with a long timeout."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def do(self, name: str, seconds: float, work: Work) -> bool:
        """Do all steps of the work, unless it was done in the last `seconds` or another process is doing it.

        Returns whether the last step was done here.
        """
        await self._database.execute(_ENTER, name)
        while True:
            async with self._database.transaction() as transaction:
                if await transaction.fetch_one(_TAKE, name, seconds) is None:
                    return False
                if await work(transaction):
                    await transaction.execute(_DONE, name)
                    return True
