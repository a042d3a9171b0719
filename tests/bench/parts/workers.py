"""Two workers on one port compared with one, each with both cores: broadcasts and persisted sends.

The load, Postgres and Redis use the same two cores, so the rates say how much of the cores these leave. The goal is for
two workers that have two cores to themselves: twice as many operations as one, less what each operation costs more.

Eight broadcasts are unfinished at a time, and one is finished when every member has it. If it was finished after as
many deliveries as there are members, whoever got them, one worker's deliveries would bring new broadcasts before the
other had delivered the earlier ones. Each would then have half of the eight, and write four frames at a time where a
single worker writes eight, which costs it hardly more than one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from statistics import median
from typing import Any

from tests.bench.load_run import Measured
from tests.bench.rounds import Effort, Rates, interleaved
from tests.bench.stage import Stage
from tests.bench.table import Row, goal, thousands

MEMBERS = 1_000
SENDERS = 100
LEAST = 1.7
"""The goal: two workers on two cores, compared with one."""


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    both = stage.server_core | stage.load_core
    async with stage.nodes() as nodes:
        labs = {count: await nodes.lab(redis=True, cores=both, workers=count) for count in (1, 2)}
        gateways = {count: await nodes.gateway(cores=both, workers=count) for count in (1, 2)}
        sends: dict[str, Any] = {"event": "broadcast", "users": MEMBERS, "window": 8, "whole": True}
        sends["seconds"] = effort.seconds
        chat: dict[str, Any] = {"topic": "private_chat:%u", "event": "send", "users": 2 * SENDERS, "senders": SENDERS}
        measurements: dict[str, Callable[[], Awaitable[Measured]]] = {}
        for count in (1, 2):
            measurements[f"broadcast {count}"] = partial(stage.load, "broadcast", labs[count], **sends)
            measurements[f"send {count}"] = partial(stage.load, "chat", gateways[count], seconds=effort.seconds, **chat)
        runs = await interleaved(effort.rounds, measurements)
        broadcasts, stored = ([runs[f"{name} 1"], runs[f"{name} 2"]] for name in ("broadcast", "send"))
        for row in (
            *_rows(f"broadcast to {MEMBERS:,}, 8 at a time, deliveries", broadcasts, True),
            *_rows(f"persisted send, {SENDERS} senders", stored, False),
        ):
            yield row


def _rows(what: str, runs: list[list[Measured]], is_broadcast: bool) -> list[Row]:
    one, two = (Rates(each, lambda run: run.deliveries if is_broadcast else run.replies) for each in runs)
    rate = median(mine / other for mine, other in zip(two.each, one.each, strict=True))
    capacity = goal(median(2 * before / now for before, now in zip(one.costs, two.costs, strict=True)), LEAST)
    return [
        Row(what=f"{what}, one worker", value=f"{thousands(one.per_second)}/s", cost=one.cost, load=one.load),
        Row(
            what=f"{what}, two workers",
            value=f"{thousands(two.per_second)}/s",
            cost=two.cost,
            load=two.load,
            compared=f"x one {rate:.2f} beside the load; with two cores of their own {capacity}",
        ),
    ]
