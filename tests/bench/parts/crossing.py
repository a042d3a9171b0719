"""Messages from one node to another over Redis: their delay at 1,000 a second, and the largest number a second."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from statistics import median
from typing import Any

from tests.bench.inserts import ordered
from tests.bench.load_run import Measured
from tests.bench.rounds import Effort, Rates, interleaved
from tests.bench.stage import Stage
from tests.bench.table import Row, goal, ratio, thousands

USERS = 200
RATE = 1_000
MOST_COMMITS = 5.0, 18.0
"""The goals of a persisted send's delivery, p50 and p99: in times that Postgres takes for a commit of one message."""
SENDERS, WINDOW = 100, 8


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    chat: dict[str, Any] = {"topic": "private_chat:%u", "event": "send", "users": USERS, "seconds": effort.seconds}
    async with stage.nodes() as nodes:
        labs = [await nodes.lab(redis=True), await nodes.lab(redis=True)]
        gateways = [await nodes.gateway(), await nodes.gateway()]
        paced = {**chat, "senders": USERS, "rate": RATE}
        measurements: dict[str, Callable[[], Awaitable[Any]]] = {
            "lab": partial(stage.load, "chat", *labs, **paced),
            "persisted": partial(stage.load, "chat", *gateways, **paced),
            "ordered": partial(ordered, stage, effort.seconds),
        }
        runs = await interleaved(effort.rounds, measurements)
        yield _delivery("lab", runs["lab"])
        yield _delivery("persisted", runs["persisted"], runs["ordered"])
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
        )


def _delivery(name: str, runs: list[Measured], commits: list[float] | None = None) -> Row:
    """`commits` has the ordered inserts a second of each round."""
    p50, p99 = ([getattr(run.crossing_ms, field) for run in runs] for field in ("p50", "p99"))
    rates = Rates(runs, lambda run: run.replies)
    compared = ""
    if commits is not None:
        commit_ms = [1_000 / per_second for per_second in commits]
        shares = (ratio(times, commit_ms) for times in (p50, p99))
        goals = (
            goal(share, most, at_most=True, show="{:.1f}".format)
            for share, most in zip(shares, MOST_COMMITS, strict=True)
        )
        compared = f"in commits {' / '.join(goals)}"
    return Row(
        what=f"to the other node at {RATE:,}/s, {name}: p50 / p99",
        value=f"{median(p50):.2f} / {median(p99):.2f} ms",
        cost=rates.cost,
        load=rates.load,
        compared=compared,
    )
