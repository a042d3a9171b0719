"""Keeps up this node's lease, and learns from the registry which other nodes are alive, and which have died.

What follows from that for the entries is not decided here: `heed` is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from gateway.presence.liveness import Liveness, Observation
from gateway.presence.loops import Loops
from gateway.presence.store import Store, StoreUnavailable

logger = logging.getLogger(__name__)

BEATS_PER_LEASE = 4


class Leases:
    """The leases of all nodes, as this one sees them."""

    def __init__(
        self,
        node: str,
        store: Store,
        loops: Loops,
        *,
        lease_seconds: float,
        clock: Callable[[], float],
        heed: Callable[[Observation], None],
    ) -> None:
        """`heed` is called after each look at the registry."""
        self._node = node
        self._store = store
        self._loops = loops
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._heed = heed
        self._liveness = Liveness(lease_seconds)
        self._beating = asyncio.Lock()
        self._watched: set[str] = set()
        """Every other node that was heard of, until it is dead."""
        self._beat_wanted = loops.signal()
        self.registered = loops.signal()
        """Set once the other nodes can see that this one is alive."""

    @property
    def alive(self) -> frozenset[str]:
        """The nodes within their lease, when the registry was last seen."""
        return self._liveness.alive

    def watch(self, nodes: Collection[str]) -> None:
        """These other nodes have entries: it is to be noticed when they die."""
        self._watched.update(nodes)

    def beat_soon(self) -> None:
        self._beat_wanted.set()

    async def beat_loop(self) -> None:
        while not self._loops.stopping:
            try:
                await self.beat()
            except StoreUnavailable as error:
                logger.warning("presence store away", extra={"fields": {"error": str(error)}})
            try:
                async with asyncio.timeout(self._lease_seconds / BEATS_PER_LEASE):
                    await self._beat_wanted.wait()
            except TimeoutError:
                pass
            self._beat_wanted.clear()

    async def beat(self) -> bool:
        """Register, and have heeded what the registry says. Raises StoreUnavailable.

        Returns whether the store has lost nothing that it would not have again by now.
        """
        async with self._beating:
            try:
                registry = await self._store.beat(self._node, self._lease_seconds)
            except StoreUnavailable:
                self._liveness.missed()
                raise
            now = self._clock()
            seen = self._liveness.observe(registry, sorted(self._watched), now)
        self.registered.set()
        self._watched.difference_update(seen.dead)
        if seen.lost or seen.late:
            logger.warning("presence store lost this node", extra={"fields": {"lost": seen.lost, "late": seen.late}})
        self._heed(seen)
        return self._liveness.is_complete(now)
