"""Starts nodes of presence that share a store, and reads what the store has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.presence.state import Part
from gateway.presence.store import Store
from tests.gateway.presence.nodes import LEASE_SECONDS, Network, Node
from tests.support.waiting import PATIENCE_SECONDS


class Cluster:
    """Starts nodes that share a store, and ends them."""

    def __init__(self, new_store: Callable[[], Store]) -> None:
        self.network = Network()
        self._new_store = new_store
        self._started: list[Node] = []

    async def node(self, name: str, lease_seconds: float = LEASE_SECONDS) -> Node:
        node = Node(self.network, name, self._new_store(), lease_seconds)
        self._started.append(node)
        await node.tracker.start()
        return node

    async def stop(self) -> None:
        for node in self._started:
            await node.tracker.stop()
            await node.store.close()


async def stored(node: Node, topic: str = "room") -> dict[str, Part]:
    (parts,) = await node.store.load([topic])
    return parts


def refs_of(parts: dict[str, Part]) -> set[str]:
    return {entry.ref for part in parts.values() for entry in part.entries}


async def until_stored(node: Node, happened: Callable[[dict[str, Part]], bool]) -> None:
    """Wait until the store's parts satisfy a condition. The store gives no event for that."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not happened(await stored(node)):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
