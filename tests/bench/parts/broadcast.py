"""Broadcasts to 1,000 sockets of one node, one and eight at a time, compared with a loop that only writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from tests.bench.rounds import Effort, Rates, interleaved
from tests.bench.stage import Stage
from tests.bench.table import Row, goal, ratio, thousands

MEMBERS = 1_000
GOALS = {1: 0.92, 8: 3.5}
"""The number of unfinished broadcasts, and the goal as a ratio to a loop that only writes."""


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    async with stage.nodes() as nodes:
        bare, lab = await nodes.bare("bare_broadcast"), await nodes.lab()
        options = {"event": "broadcast", "users": MEMBERS, "seconds": effort.seconds}
        runs = await interleaved(
            effort.rounds,
            {
                "bare": partial(stage.load, "broadcast", bare, window=1, no_join=True, **options),
                "1": partial(stage.load, "broadcast", lab, window=1, **options),
                "8": partial(stage.load, "broadcast", lab, window=8, **options),
            },
        )
        rates = {name: Rates(results, lambda run: run.deliveries) for name, results in runs.items()}
        of = rates["bare"]
        name = f"broadcast to {MEMBERS:,}"
        value = f"{thousands(of.per_second)}/s"
        yield Row(what=f"{name}: a loop that only writes", value=value, cost=of.cost, load=of.load)
        for window, least in GOALS.items():
            ours = rates[str(window)]
            yield Row(
                what=f"{name}, {window} at a time, deliveries",
                value=f"{thousands(ours.per_second)}/s",
                cost=ours.cost,
                load=ours.load,
                compared=f"x the loop {goal(ratio(of.costs, ours.costs), least)}",
            )
