"""The memory that a node needs for one connection, with 5,000 connected and joined."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from resource import getpagesize

from tests.bench.rounds import Effort
from tests.bench.stage import Nodes, Stage
from tests.bench.table import Row, goal
from tests.support.processes import Node

CONNECTIONS = 5_000
MOST_KILOBYTES = {"lab room": 6.0, "private_chat": 7.0}
"""The goals."""
WARM_UP = 200
"""Connections before the first measurement: the first ones load modules and fill caches."""


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    connections = min(CONNECTIONS, stage.most_users, effort.users)
    kinds: tuple[tuple[str, Callable[[Nodes], Awaitable[Node]], dict[str, object]], ...] = (
        ("bare", Nodes.bare, {"no_join": True}),
        ("lab room", Nodes.lab, {"topic": "lab:room:%u"}),
        ("private_chat", Nodes.gateway, {"topic": "private_chat:%u"}),
    )
    for name, start, options in kinds:
        async with stage.nodes() as nodes:
            node = await start(nodes)
            await stage.load("connect", node, users=WARM_UP, **options)
            before = _resident(node)
            hold = {"users": connections, "hold": True, **options}
            async with await stage.generator.start("connect", [node.port], [node.pid], **hold) as load:
                await load.result()
                kilobytes = (_resident(node) - before) / connections / 1000
            most = MOST_KILOBYTES.get(name)
            compared = "" if most is None else f"KB {goal(kilobytes, most, at_most=True, show='{:.1f}'.format)}"
            what = f"memory a connection, {connections:,}: {name}"
            yield Row(what=what, value=f"{kilobytes:.1f} KB", compared=compared)


def _resident(node: Node) -> int:
    return int(Path(f"/proc/{node.pid}/statm").read_text().split()[1]) * getpagesize()
