"""Connects with a join of a lab room, or of `private_chat` with a look-up in Postgres, compared with a bare connect."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from tests.bench.rounds import Effort, Rates, interleaved
from tests.bench.stage import Stage
from tests.bench.table import Row, goal, ratio, thousands

USERS = 2_000
ROOM, CHAT = 0.45, 0.65
"""The goals: CPU as a ratio to that of a bare connect, which has no join."""


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    async with stage.nodes() as nodes:
        bare, lab, gateway = await nodes.bare(), await nodes.lab(), await nodes.gateway()
        chat = {"topic": "private_chat:%u", "users": USERS}
        runs = await interleaved(
            effort.rounds,
            {
                "bare": partial(stage.load, "connect", bare, users=USERS, no_join=True),
                "room": partial(stage.load, "connect", lab, users=USERS),
                "chat": partial(stage.load, "connect", gateway, **chat),
            },
        )
        of, room, private = (Rates(runs[name], lambda run: run.joined) for name in ("bare", "room", "chat"))
        yield Row(what="connect: bare", value=f"{thousands(of.per_second)}/s", cost=of.cost, load=of.load)
        for name, ours, most in (("a lab room", room, ROOM), ("private_chat, user looked up", private, CHAT)):
            yield Row(
                what=f"connect + join, {name}",
                value=f"{thousands(ours.per_second)}/s",
                cost=ours.cost,
                load=ours.load,
                compared=f"x the CPU of bare {goal(ratio(ours.costs, of.costs), most, at_most=True)}",
            )
