"""`send` in private_chat, stored in Postgres: 100 senders on one node and on two, compared with inserts by pgbench."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from statistics import median
from typing import Any

from tests.bench.rounds import Effort, Rates, interleaved
from tests.bench.stage import USERS, Stage
from tests.bench.table import Row, goal, ratio, thousands

SENDERS = 100
PER_SECOND = 10_000
CLIENTS = 10
"""The number of pgbench's connections: as many as a node has."""

PLAIN = "CREATE TABLE IF NOT EXISTS plain_messages (LIKE messages INCLUDING ALL)"
"""The same columns and indexes, without the trigger that makes ids visible in order."""
INSERT = f"""\\set from random(1, {USERS})
\\set to random(1, {USERS})
INSERT INTO %s (from_id, to_id, text) SELECT :from, :to, '@1234567890123456@10@ Is it still there?'
WHERE EXISTS (SELECT FROM users WHERE id = :to AND deleted_at IS NULL)
AND NOT EXISTS (SELECT FROM blocks WHERE blocker_id = :to AND blocked_id = :from);
"""


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    async with stage.nodes() as nodes:
        one, two = await nodes.gateway(), await nodes.gateway()
        await stage.sql(PLAIN)
        chat = {"topic": "private_chat:%u", "event": "send", "users": 2 * SENDERS, "senders": SENDERS}
        pgbench = partial(stage.pgbench, clients=CLIENTS, seconds=effort.seconds)
        measurements: dict[str, Callable[[], Awaitable[Any]]] = {
            "plain": partial(pgbench, INSERT % "plain_messages"),
            "in order": partial(pgbench, INSERT % "messages"),
            "one": partial(stage.load, "chat", one, seconds=effort.seconds, **chat),
            "two": partial(stage.load, "chat", one, two, seconds=effort.seconds, **chat),
        }
        runs = await interleaved(effort.rounds, measurements)
        yield Row(what="the same insert, pgbench, unordered ids", value=f"{thousands(median(runs['plain']))}/s")
        yield Row(what="the same insert, pgbench, ids shown in order", value=f"{thousands(median(runs['in order']))}/s")
        for name in ("one", "two"):
            rates = Rates(runs[name], lambda run: run.replies)
            compared = f"x pgbench {ratio(rates.each, runs['plain']):.2f}"
            if name == "one":
                compared += f"; a second {goal(rates.per_second, PER_SECOND, show=thousands)}"
            p99 = median(run.reply_ms.p99 for run in runs[name])
            yield Row(
                what=f"persisted send, {SENDERS} senders, {name} node{'s' * (name == 'two')}",
                value=f"{thousands(rates.per_second)}/s",
                cost=rates.cost,
                load=rates.load,
                compared=f"{compared}; reply p99 {p99:.1f} ms",
            )
