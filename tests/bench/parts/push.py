"""Pushes and replies on 100 connections, compared with a bare echo. Also the limit of the load generator itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from tests.bench.load_run import Measured
from tests.bench.rounds import Effort, Rates, interleaved
from tests.bench.stage import Stage
from tests.bench.table import Row, goal, ratio, thousands

WINDOWS = {1: 1.6, 8: 3.2}
"""The number of unanswered pushes on a connection, and the goal as a ratio to a bare echo."""
HEADROOM = 1.5


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    async with stage.nodes() as nodes, stage.trivial_echo() as trivial_echo:
        bare, lab = await nodes.bare(), await nodes.lab()
        for window, least in WINDOWS.items():
            options: dict[str, Any] = {"users": 100, "window": window, "seconds": effort.seconds}
            measurements: dict[str, Callable[[], Awaitable[Measured]]] = {
                "bare": partial(stage.load, "push", bare, no_join=True, **options),
                "lab": partial(stage.load, "push", lab, **options),
                "trivial": partial(trivial_echo, "push", no_join=True, **options),
            }
            runs = await interleaved(effort.rounds, measurements)
            of, ours, trivial = (Rates(runs[name], lambda run: run.replies) for name in ("bare", "lab", "trivial"))
            name = f"push -> reply, {window} in flight"
            yield Row(what=f"{name}: bare echo", value=f"{thousands(of.per_second)}/s", cost=of.cost, load=of.load)
            yield Row(
                what=name,
                value=f"{thousands(ours.per_second)}/s",
                cost=ours.cost,
                load=ours.load,
                compared=f"x bare {goal(ratio(of.costs, ours.costs), least)}",
            )
            yield Row(
                what=f"{name}: load generator, trivial echo",
                value=f"{thousands(trivial.alone)}/s",
                cost=trivial.cost,
                compared=f"x the gateway's core {goal(trivial.alone * ours.cost / 1e6, HEADROOM)}",
            )
