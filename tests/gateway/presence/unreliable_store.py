"""A presence store in memory that can be unreachable, and can lose everything, as a Redis can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.presence.state import Part
from gateway.presence.store import Registry, StoreUnavailable, Write
from gateway.presence.store_memory import MemoryStore


class UnreliableStore(MemoryStore):
    """Raises StoreUnavailable while it is not `available`."""

    available = True

    def lose(self) -> None:
        self._deadlines.clear()
        self._topics.clear()

    def _fail_if_away(self) -> None:
        if not self.available:
            raise StoreUnavailable("the store is away")

    async def beat(self, node: str, lease_seconds: float) -> Registry:
        self._fail_if_away()
        return await super().beat(node, lease_seconds)

    async def depart(self, node: str) -> None:
        self._fail_if_away()
        await super().depart(node)

    async def load(self, topics: Sequence[str]) -> list[dict[str, Part]]:
        self._fail_if_away()
        return await super().load(topics)

    async def write(self, node: str, writes: Sequence[Write]) -> list[bool]:
        self._fail_if_away()
        return await super().write(node, writes)

    async def rewrite(self, node: str, parts: Mapping[str, Part]) -> None:
        self._fail_if_away()
        await super().rewrite(node, parts)

    async def check(self, node: str, topics: Sequence[str]) -> list[int]:
        self._fail_if_away()
        return await super().check(node, topics)

    async def remove(self, node: str, topics: Sequence[str]) -> None:
        self._fail_if_away()
        await super().remove(node, topics)
