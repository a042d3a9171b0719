"""Renews this node's lease, and learns from the registry which other nodes are alive or dead.

It calls `on_observation` after each look at the registry, which decides what that means for the entries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from gateway.presence.liveness import Liveness, Observation
from gateway.presence.loops import Loops
from gateway.presence.store import Store, StoreUnavailable
from shared.logs import log_of

log = log_of(__name__)

BEATS_PER_LEASE = 4


class Leases:
    """The leases of all nodes, as this node sees them."""

    def __init__(
        self,
        node: str,
        store: Store,
        loops: Loops,
        *,
        lease_seconds: float,
        clock: Callable[[], float],
        on_observation: Callable[[Observation], None],
    ) -> None:
        """`on_observation` is called after each look at the registry. `clock` returns seconds and never goes back."""
        self._node = node
        self._store = store
        self._loops = loops
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._on_observation = on_observation
        self._liveness = Liveness(lease_seconds)
        self._beating = asyncio.Lock()
        self._watched: set[str] = set()
        """Other nodes whose death matters here; a node is removed when it is dead."""
        self._beat_wanted = loops.signal()
        self.registered = loops.signal()
        """Set when the registry has this node, so that the others can see that it is alive."""

    @property
    def alive(self) -> frozenset[str]:
        """The nodes whose lease had not expired at the last look at the registry."""
        return self._liveness.alive

    def watch(self, nodes: Collection[str]) -> None:
        """Watch for the death of these nodes, because they have entries here."""
        self._watched.update(nodes)

    def beat_soon(self) -> None:
        """Make `beat_loop` renew the lease now."""
        self._beat_wanted.set()

    async def beat_loop(self) -> None:
        """Renew the lease regularly until the loops stop."""
        while not self._loops.stopping:
            try:
                await self.beat()
            except StoreUnavailable as error:
                log.warning("presence store away", error=str(error))
            try:
                async with asyncio.timeout(self._lease_seconds / BEATS_PER_LEASE):
                    await self._beat_wanted.wait()
            except TimeoutError:
                pass
            self._beat_wanted.clear()

    async def beat(self) -> bool:
        """Renew the lease, and report what the registry says to `on_observation`. Raises StoreUnavailable.

        Returns True if every node has had a full lease to store its entries again since the store last lost data.
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
            log.warning("presence store lost this node", lost=seen.lost, late=seen.late)
        self._on_observation(seen)
        return self._liveness.is_complete(now)
