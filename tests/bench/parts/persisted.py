"""`send` in private_chat, stored in Postgres: 100 senders on one node and on two, compared with inserts by pgbench."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from statistics import median
from typing import Any

from tests.bench.inserts import ordered, unordered
from tests.bench.rounds import Effort, Rates, interleaved
from tests.bench.stage import Stage
from tests.bench.table import Row, goal, ratio, thousands

SENDERS = 100
ONE_NODE = 1.3
"""The goal of one node, as a ratio to pgbench's inserts without the order of ids."""


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    async with stage.nodes() as nodes:
        one, two = await nodes.gateway(), await nodes.gateway()
        chat = {"topic": "private_chat:%u", "event": "send", "users": 2 * SENDERS, "senders": SENDERS}
        measurements: dict[str, Callable[[], Awaitable[Any]]] = {
            "plain": partial(unordered, stage, effort.seconds),
            "in order": partial(ordered, stage, effort.seconds),
            "one": partial(stage.load, "chat", one, seconds=effort.seconds, **chat),
            "two": partial(stage.load, "chat", one, two, seconds=effort.seconds, **chat),
        }
        runs = await interleaved(effort.rounds, measurements)
        yield Row(what="the same insert, pgbench, unordered ids", value=f"{thousands(median(runs['plain']))}/s")
        yield Row(what="the same insert, pgbench, ids shown in order", value=f"{thousands(median(runs['in order']))}/s")
        for name in ("one", "two"):
            rates = Rates(runs[name], lambda run: run.replies)
            of_pgbench = ratio(rates.each, runs["plain"])
            compared = f"x pgbench {goal(of_pgbench, ONE_NODE) if name == 'one' else f'{of_pgbench:.2f}'}"
            p99 = median(run.reply_ms.p99 for run in runs[name])
            yield Row(
                what=f"persisted send, {SENDERS} senders, {name} node{'s' * (name == 'two')}",
                value=f"{thousands(rates.per_second)}/s",
                cost=rates.cost,
                load=rates.load,
                compared=f"{compared}; reply p99 {p99:.1f} ms",
            )
