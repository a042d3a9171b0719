"""The presence store in memory: for a gateway without Redis, and for tests, whose trackers share one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from gateway.presence.state import Entry, Part
from gateway.presence.store import FORGET_NODE_LEASES, Registry, Write


class MemoryStore:
    """Keeps the promises of `Store`, and is never away."""

    loses_together = True

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deadlines: dict[str, int] = {}
        self._topics: dict[str, dict[str, Part]] = {}

    async def beat(self, node: str, lease_seconds: float) -> Registry:
        now = int(self._clock() * 1000)
        lease = int(lease_seconds * 1000)
        previous = self._deadlines.get(node)
        self._deadlines[node] = now + lease
        forgotten = now - FORGET_NODE_LEASES * lease
        self._deadlines = {name: deadline for name, deadline in self._deadlines.items() if deadline > forgotten}
        return Registry(previous, now + lease, now, dict(self._deadlines))

    async def depart(self, node: str) -> None:
        self._deadlines.pop(node, None)

    async def load(self, topics: Sequence[str]) -> list[dict[str, Part]]:
        return [dict(self._topics.get(topic, {})) for topic in topics]

    async def write(self, node: str, writes: Sequence[Write]) -> list[bool]:
        return [self._write(node, write) for write in writes]

    def _write(self, node: str, write: Write) -> bool:
        part = self._topics.get(write.topic, {}).get(node, Part(0, ()))
        if part.sequence == write.sequence != 0:
            return True
        if part.sequence != write.change.previous:
            return False
        entries: dict[str, Entry] = {entry.ref: entry for entry in part.entries}
        for ref in write.change.leaves:
            entries.pop(ref, None)
        entries.update((entry.ref, entry) for entry in write.change.joins)
        self._put(node, write.topic, Part(write.sequence, tuple(entries.values())))
        return True

    async def rewrite(self, node: str, parts: Mapping[str, Part]) -> None:
        for topic, part in parts.items():
            self._put(node, topic, part)

    async def check(self, node: str, topics: Sequence[str]) -> list[int]:
        return [self._topics.get(topic, {}).get(node, Part(0, ())).sequence for topic in topics]

    async def remove(self, node: str, topics: Sequence[str]) -> None:
        for topic in topics:
            self._put(node, topic, Part(0, ()))

    async def close(self) -> None:
        pass

    def _put(self, node: str, topic: str, part: Part) -> None:
        nodes = self._topics.setdefault(topic, {})
        nodes.pop(node, None)
        if part.sequence and part.entries:
            nodes[node] = part
        if not nodes:
            del self._topics[topic]
