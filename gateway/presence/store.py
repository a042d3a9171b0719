"""The presence store: where all nodes keep their entries, and see which nodes are alive. States the promises only;
store_memory.py and store_redis.py keep them, and one suite of tests holds both to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from gateway.presence.state import Change, Part


class StoreUnavailable(Exception):
    """The store could not be reached, or failed. Whether the call had its effect is not known; repeat it."""


class Write(NamedTuple):
    """A change of a node's entries in one topic, and the sequence that they then have: 0 if none are left."""

    topic: str
    change: Change
    sequence: int


class Registry(NamedTuple):
    """The nodes, when this node last registered. Times are milliseconds of the store's one clock."""

    previous: int | None
    """The deadline that this node had before; None if the store did not know it."""
    deadline: int
    """The one it has now."""
    now: int
    nodes: Mapping[str, int]
    """Every node's deadline, this one's included. Those long past are left out."""


class Store(Protocol):
    """Entries by topic and node, and a lease for each node.

    Only a node writes its own entries, and one call at a time. Every method raises StoreUnavailable, within a few
    seconds rather than never; every method may be repeated. Each topic changes atomically, several topics do not.
    """

    @property
    def loses_together(self) -> bool:
        """Whether data that is lost is lost with the registry's. A cluster can lose some topics and no more."""

    async def beat(self, node: str, lease_seconds: float) -> Registry:
        """The node is alive, and will be for as long as its lease."""

    async def depart(self, node: str) -> None:
        """The node ends; it has no entries any more."""

    async def load(self, topics: Sequence[str]) -> list[dict[str, Part]]:
        """For each topic, every node's entries, also of dead nodes. No part is empty."""

    async def write(self, node: str, writes: Sequence[Write]) -> list[bool]:
        """For each, whether the store now holds what it says.

        It does not if the entries that the store had were not those of the change before; then nothing was changed,
        and `rewrite` is needed.
        """

    async def rewrite(self, node: str, parts: Mapping[str, Part]) -> None:
        """Whatever the store had of this node in these topics, it now has exactly this."""

    async def check(self, node: str, topics: Sequence[str]) -> list[int]:
        """For each topic, the sequence of this node's entries, 0 if it has none.

        A topic that no node writes or checks for TOPIC_LIFE_SECONDS may be forgotten by the store.
        """

    async def remove(self, node: str, topics: Sequence[str]) -> None:
        """Clear away what a dead node left in these topics."""

    async def close(self) -> None:
        """Give the connections back. Does not raise."""


TOPIC_LIFE_SECONDS = 900
"""What dead nodes left in topics that nobody visits again is gone after this time."""

FORGET_NODE_LEASES = 10
"""A node is left out of the registry when its deadline is this many leases past."""
