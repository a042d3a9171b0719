"""A node is killed and started again. All its clients come back at once, and each gets the message that it missed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from statistics import median
from typing import Any

from tests.bench.rounds import Effort
from tests.bench.stage import Stage
from tests.bench.table import Row, goal, thousands

# One message for each client, stored while the node was down.
MISSED = """INSERT INTO messages (from_id, to_id, text)
SELECT id %% %(users)s + 1, id, 'sent while you were away' FROM generate_series(1, %(users)s) AS id"""


OF_BARE = 1.5
"""The goal: clients a second, as a ratio to the connects a second of a bare server."""


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    users = min(effort.users, stage.most_users)
    async with stage.nodes() as nodes:
        bare, node = await nodes.bare(), await nodes.gateway()
        connects = [await stage.load("connect", bare, users=users, no_join=True) for _ in range(effort.rounds)]
        of_bare = median(run.joined / run.seconds for run in connects)
        options: dict[str, Any] = {"topic": "private_chat:%u", "users": users}
        async with await stage.generator.start("return", [node.port], **options) as load:
            await load.until("ready")
            await stage.sql(MISSED.replace("%(users)s", str(users)).replace("%%", "%"))
            node.kill()
            await load.until("gone")
            await nodes.gateway(port=node.port)
            measured = await load.result()
        rate = measured.joined / measured.seconds
        yield Row(
            what=f"{users:,} clients back after a kill -9, all caught up in",
            value=f"{measured.seconds:.1f} s",
            load=measured.own_cpu / measured.seconds,
            compared=f"x the connects of bare a second {goal(rate / of_bare, OF_BARE)}; "
            f"{thousands(rate)}/s, join p99 {measured.join_ms.p99:.0f} ms, {measured.caught_up:,} got all",
        )
