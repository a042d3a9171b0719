"""What one node keeps of each topic that concerns it. Only the records: what happens to them is decided elsewhere."""

from __future__ import annotations

import asyncio
import enum

from gateway.presence.state import Change, TopicState

TOPICS_AT_ONCE = 200
"""How many topics one call to the store reads, writes or checks."""


class Phase(enum.Enum):
    """How a replica stands."""

    WANTED = enum.auto()
    """To be loaded. What is received is left out: it is in the store already."""
    LOADING = enum.auto()
    """What is received waits for the snapshot."""
    CURRENT = enum.auto()
    DROPPED = enum.auto()
    """The last local member has left: no longer kept. A later member gets a new replica."""


class Replica:
    """How far the other nodes' entries in a topic have been loaded, from the first local member to the last."""

    __slots__ = ("buffer", "current", "ignored", "members", "phase", "unconfirmed")

    def __init__(self) -> None:
        self.members = 0
        self.phase = Phase.WANTED
        self.buffer: list[tuple[str, Change]] = []
        """What was received while loading: each change with its node."""
        self.current = asyncio.Event()
        """Set once it has been loaded."""
        self.unconfirmed: dict[str, float] = {}
        """Nodes whose entries the store was lacking, and since when."""
        self.ignored: frozenset[str] = frozenset()
        """Nodes that were not alive, whose entries are in the store."""


class Topic:
    """The entries of a topic; those of other nodes only while there is a replica."""

    __slots__ = ("replica", "state")

    def __init__(self, node: str) -> None:
        self.state = TopicState(node)
        self.replica: Replica | None = None


class Topics:
    """Every topic that has entries of this node, or local members."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._topics: dict[str, Topic] = {}

    def __len__(self) -> int:
        return len(self._topics)

    def get(self, name: str) -> Topic | None:
        return self._topics.get(name)

    def ensure(self, name: str) -> Topic:
        """The topic, kept from now on until `discard_if_idle`."""
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(self._node)
        return topic

    def discard_if_idle(self, name: str) -> None:
        topic = self._topics.get(name)
        if topic is not None and topic.replica is None and not topic.state.has_own:
            del self._topics[name]

    def replicated(self) -> list[tuple[str, TopicState, Replica]]:
        """The topics that have local members."""
        return [(name, topic.state, topic.replica) for name, topic in self._topics.items() if topic.replica is not None]

    def written(self) -> list[str]:
        """The topics where the store should have entries of this node."""
        return [name for name, topic in self._topics.items() if topic.state.sequence]


def take_batch(names: dict[str, None]) -> list[str]:
    """As many as one call to the store takes, the first first; they are no longer in the ordered set."""
    taken = list(names)[:TOPICS_AT_ONCE]
    for name in taken:
        del names[name]
    return taken
