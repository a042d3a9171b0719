"""Messages from one node to another over Redis: their delay at 1,000 a second, and the largest number a second."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from statistics import median

from tests.bench.load_run import Measured
from tests.bench.rounds import Effort, Rates, interleaved
from tests.bench.stage import Stage
from tests.bench.table import Row, goal, thousands

USERS = 200
RATE = 1_000
LAB_MS, PERSISTED_MS = 2.0, 5.0
SENDS_PER_SECOND = 8_300
"""The number that two nodes of Phoenix reached on the same kind of cores."""
SENDERS, WINDOW = 100, 8


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    chat = {"topic": "private_chat:%u", "event": "send", "users": USERS, "seconds": effort.seconds}
    async with stage.nodes() as nodes:
        labs = [await nodes.lab(redis=True), await nodes.lab(redis=True)]
        gateways = [await nodes.gateway(), await nodes.gateway()]
        paced = {**chat, "senders": USERS, "rate": RATE}
        runs = await interleaved(
            effort.rounds,
            {
                "lab": partial(stage.load, "chat", *labs, **paced),
                "persisted": partial(stage.load, "chat", *gateways, **paced),
            },
        )
        yield _delivery("lab", runs["lab"], LAB_MS)
        yield _delivery("persisted", runs["persisted"], PERSISTED_MS)
    async with stage.nodes() as nodes:
        everywhere = stage.server_core | stage.load_core
        labs = [await nodes.lab(redis=True, cores=everywhere), await nodes.lab(redis=True, cores=everywhere)]
        await stage.let_redis_run_on(everywhere)
        with stage.on(everywhere):
            fast = partial(stage.load, "chat", *labs, senders=SENDERS, window=WINDOW, **chat)
            rates = Rates((await interleaved(effort.rounds, {"fast": fast}))["fast"], lambda run: run.replies)
        await stage.let_redis_run_on(stage.load_core)
        yield Row(
            what="two lab nodes over Redis, all on two cores, sends",
            value=f"{thousands(rates.per_second)}/s",
            cost=rates.cost,
            load=rates.load,
            compared=f"a second {goal(rates.per_second, SENDS_PER_SECOND, show=thousands)}",
        )


def _delivery(name: str, runs: list[Measured], most: float) -> Row:
    p50, p99 = median(run.crossing_ms.p50 for run in runs), median(run.crossing_ms.p99 for run in runs)
    rates = Rates(runs, lambda run: run.replies)
    return Row(
        what=f"to the other node at {RATE:,}/s, {name}: p50 / p99",
        value=f"{p50:.2f} / {p99:.2f} ms",
        cost=rates.cost,
        load=rates.load,
        compared=f"p99 in ms {goal(p99, most, at_most=True)}",
    )
