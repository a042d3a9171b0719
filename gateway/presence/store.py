"""The presence store: all nodes keep their entries in it, and see in it which nodes are alive.

This module states the promises. store_memory.py and store_redis.py keep them; tests/contracts tests both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from gateway.presence.state import Change, Part


class StoreUnavailable(Exception):
    """The store could not be reached, or failed. The call may have taken effect; repeat it."""


class Write(NamedTuple):
    """A change of a node's entries in one topic, and their sequence after it: 0 if none are left."""

    topic: str
    change: Change
    sequence: int


class Registry(NamedTuple):
    """The state of the registry right after this node registered. Times are milliseconds of the store's clock."""

    previous: int | None
    """This node's previous deadline; None if the store did not know the node."""
    deadline: int
    """This node's new deadline."""
    now: int
    nodes: Mapping[str, int]
    """The deadline of each node, including this one. Deadlines that passed long ago are left out."""


class Store(Protocol):
    """Entries by topic and node, and a lease for each node.

    Only the node itself writes its entries, one call at a time. Every method raises StoreUnavailable within a few
    seconds if the store is away, and may be repeated. Each topic changes atomically; several topics do not.
    """

    @property
    def loses_together(self) -> bool:
        """True if the store loses the registry whenever it loses topics. A cluster can lose some topics alone."""

    async def beat(self, node: str, lease_seconds: float) -> Registry:
        """Register the node as alive for `lease_seconds` from now."""

    async def depart(self, node: str) -> None:
        """Remove the node from the registry. It must have no entries left."""

    async def load(self, topics: Sequence[str]) -> list[dict[str, Part]]:
        """Returns the entries of every node for each topic, also of dead nodes. No part is empty."""

    async def write(self, node: str, writes: Sequence[Write]) -> list[bool]:
        """Returns for each write whether the store has it now.

        False if the store did not have the entries as of `change.previous`. Nothing was changed then; use `rewrite`.
        """

    async def rewrite(self, node: str, parts: Mapping[str, Part]) -> None:
        """Replace everything that the store has of this node in these topics."""

    async def check(self, node: str, topics: Sequence[str]) -> list[int]:
        """Returns the sequence of this node's entries for each topic; 0 if there are none.

        The store may forget a topic that no node has written or checked for TOPIC_LIFE_SECONDS.
        """

    async def remove(self, node: str, topics: Sequence[str]) -> None:
        """Remove the entries of a dead node in these topics."""

    async def close(self) -> None:
        """Close the connections. Does not raise."""


TOPIC_LIFE_SECONDS = 900
"""Entries of dead nodes in topics that nobody visits again are gone after this time."""

FORGET_NODE_LEASES = 10
"""The registry forgets a node this many leases after its deadline."""
