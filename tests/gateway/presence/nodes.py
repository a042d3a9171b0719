"""Nodes for tests of presence: each has a tracker, clients, and a link to the other nodes that can break."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.presence.leases import BEATS_PER_LEASE
from gateway.presence.store import Store
from gateway.presence.tracker import Tracker
from tests.gateway.presence.phoenix_client import PhoenixClient, in_order
from tests.support.waiting import PATIENCE_SECONDS

LEASE_SECONDS = 0.4


class Network:
    """Delivers each message later, in order, to all other nodes that have joined its topic."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.changed = asyncio.Event()

    def publish(self, sender: Node, topic: str, payload: bytes) -> None:
        for node in self.nodes:
            if node is not sender and sender.linked and node.linked and topic in node.clients:
                asyncio.get_running_loop().call_soon(node.receive, topic, sender.name, payload)

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for a condition, which is checked whenever a node has sent its clients a diff."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not happened():
                self.changed.clear()
                await self.changed.wait()


class Node:
    def __init__(
        self, network: Network, name: str, store: Store, lease_seconds: float = LEASE_SECONDS, **limits: Any
    ) -> None:
        self.name = name
        self.network = network
        self.store = store
        self.linked = True
        self.clients: dict[str, list[PhoenixClient]] = {}
        self.diffs: list[dict[str, Any]] = []
        self.on_client_diff: Callable[[], None] = lambda: None
        self.tracker = Tracker(
            name, store, self, lease_seconds=lease_seconds, load_seconds=1.0, sweep_seconds=lease_seconds, **limits
        )
        self.look_count = 0
        """The number of times that the node has looked at the registry."""
        self._looked = asyncio.Event()
        self._beat = self.tracker._leases.beat
        self.tracker._leases.beat = self._count_look  # type: ignore[method-assign]
        network.nodes.append(self)

    async def _count_look(self) -> bool:
        try:
            return await self._beat()
        finally:
            self.look_count += 1
            self._looked.set()

    async def looks(self, leases: float) -> None:
        """Wait until the node has looked at the registry as often as in `leases` leases. Failed looks count."""
        until = self.look_count + leases * BEATS_PER_LEASE
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.look_count < until:
                self._looked.clear()
                await self._looked.wait()

    # The outlet

    def broadcast_local(self, topic: str, event: str, payload: dict[str, Any]) -> None:
        assert event == "presence_diff"
        self.diffs.append(payload)
        for client in self.clients.get(topic, []):
            self.on_client_diff()
            client.on_diff(payload)
        self.network.changed.set()

    def publish(self, topic: str, event: str, payload: bytes) -> None:
        assert event == "presence_diff"
        self.network.publish(self, topic, payload)

    # The endpoint

    def receive(self, topic: str, sender: str, payload: bytes) -> None:
        if self.linked and topic in self.clients:
            self.tracker.receive(topic, sender, payload)

    async def join(self, topic: str = "room", *, may_return: bool = False) -> PhoenixClient:
        """Let a client join, and give it the state."""
        members = self.clients.setdefault(topic, [])
        await self.tracker.topic_joined(topic)
        client = PhoenixClient(may_return=may_return)
        client.on_state(self.tracker.list(topic))
        members.append(client)
        return client

    def leave(self, client: PhoenixClient, topic: str = "room") -> None:
        self.clients[topic].remove(client)
        if not self.clients[topic]:
            del self.clients[topic]
        self.tracker.topic_left(topic)

    def lose_link(self) -> None:
        self.linked = False

    def restore_link(self) -> None:
        self.linked = True
        self.tracker.link_restored()

    async def kill(self) -> None:
        """End the node at once, as kill -9 does."""
        self.network.nodes.remove(self)
        self.linked = False
        for task in self.tracker._loops.tasks:
            task.cancel()
        await asyncio.gather(*self.tracker._loops.tasks, return_exceptions=True)

    def shows(self, *refs: str, topic: str = "room") -> bool:
        """True if the node's list has exactly these refs. Checks that its clients have the same list."""
        listed = self.tracker.list(topic)
        for client in self.clients.get(topic, []):
            assert in_order(client.presences) == listed
        return sorted(meta["phx_ref"] for value in listed.values() for meta in value["metas"]) == sorted(refs)
