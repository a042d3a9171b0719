"""Decides which nodes are dead from what the registry says over time. Pure: the time is given, the acting elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.presence.store import Registry


class Observation(NamedTuple):
    """What one look at the registry says."""

    dead: tuple[str, ...]
    """Of the watched nodes."""
    lost: bool
    """The store lost data: it no longer has what this node registered last."""
    late: bool
    """This node's own lease had run out: others may have taken it for dead."""


class Liveness:
    """A node whose deadline has passed is dead, and so is one that the registry lacks for as long as a lease.

    But not for a lease after the registry was out of reach, lost its data, or this node itself was late: then the
    others may have had the same trouble, and get the time to register again.
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
        """The nodes within their lease, when the registry was last seen."""
        return self._alive

    def is_complete(self, now: float) -> bool:
        """Whether the store has lost nothing for so long that each node has stored again what it had lost."""
        return not self._missed and now >= self._complete_from

    def missed(self) -> None:
        """The registry could not be reached."""
        self._missed = True

    def observe(self, registry: Registry, watched: Iterable[str], now: float) -> Observation:
        """`now` in seconds of a clock that never goes back."""
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
