"""Decides which nodes are dead, from the registry's answers over time. Pure: the caller passes the time and acts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.presence.store import Registry


class Observation(NamedTuple):
    """The result of a look at the registry."""

    dead: tuple[str, ...]
    """The watched nodes that are dead."""
    lost: bool
    """True if the store lost data: it does not have the deadline that this node registered last."""
    late: bool
    """True if this node's own lease had expired: other nodes may have considered it dead."""


class Liveness:
    """A node is dead when its deadline has passed, or when the registry has lacked it for one lease.

    After an outage of the registry, a loss of its data, or a late beat of this node, no node is declared dead for one
    lease: the other nodes may be recovering too.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._lease = lease_seconds
        self._deadline: int | None = None
        self._missed = True
        self._trust_from = 0.0
        self._complete_from = 0.0
        self._suspected: dict[str, float] = {}
        self._alive: frozenset[str] = frozenset()

    @property
    def alive(self) -> frozenset[str]:
        """The nodes whose lease had not expired at the last look at the registry."""
        return self._alive

    def is_complete(self, now: float) -> bool:
        """True if each node has had a full lease to store its entries again since the store last lost data."""
        return not self._missed and now >= self._complete_from

    def missed(self) -> None:
        """Note that the registry could not be reached."""
        self._missed = True

    def observe(self, registry: Registry, watched: Iterable[str], now: float) -> Observation:
        """Evaluate a look at the registry. `now` is in seconds of a clock that never goes back."""
        lost = self._deadline is not None and registry.previous != self._deadline
        late = registry.previous is not None and registry.previous <= registry.now
        if self._missed or lost or late:
            self._trust_from = now + self._lease
        if lost or self._deadline is None:
            self._complete_from = now + self._lease
        self._missed = False
        self._deadline = registry.deadline
        self._alive = frozenset(node for node, deadline in registry.nodes.items() if deadline > registry.now)
        suspects = [node for node in watched if node not in self._alive]
        self._suspected = {node: self._suspected.get(node, now) for node in suspects}
        dead: tuple[str, ...] = ()
        if now >= self._trust_from:
            dead = tuple(
                node for node in suspects if node in registry.nodes or now - self._suspected[node] >= self._lease
            )
        return Observation(dead, lost, late)
