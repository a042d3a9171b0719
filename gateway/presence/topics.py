"""The records of one node about each topic with its entries or members. Other modules decide what happens to them."""

from __future__ import annotations

import asyncio
import enum

from gateway.presence.state import Change, TopicState

TOPICS_AT_ONCE = 200
"""The most topics that one call to the store reads, writes or checks."""


class Phase(enum.Enum):
    """The state of a replica."""

    WANTED = enum.auto()
    """It has to be loaded. Changes that arrive are ignored: the store has them already."""
    LOADING = enum.auto()
    """The snapshot is being read. Changes that arrive are buffered."""
    CURRENT = enum.auto()
    """It is loaded. Changes that arrive are applied."""
    DROPPED = enum.auto()
    """The last local member has left. A later member gets a new replica."""


class Replica:
    """The state of loading other nodes' entries in a topic. It lives from the first local member to the last."""

    __slots__ = ("buffer", "current", "ignored", "members", "phase", "unconfirmed")

    def __init__(self) -> None:
        self.members = 0
        self.phase = Phase.WANTED
        self.buffer: list[tuple[str, Change]] = []
        """Changes that arrived while loading, each with its node."""
        self.current = asyncio.Event()
        """Set when it has been loaded for the first time."""
        self.unconfirmed: dict[str, float] = {}
        """Nodes whose entries the store lacked, and since when, in seconds of the tracker's clock."""
        self.ignored: frozenset[str] = frozenset()
        """Nodes that were not alive, but have entries in the store."""


class Topic:
    """The entries of a topic; other nodes' entries only while it has a replica."""

    __slots__ = ("replica", "state")

    def __init__(self, node: str) -> None:
        self.state = TopicState(node)
        self.replica: Replica | None = None


class Topics:
    """All topics that have entries of this node or local members."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._topics: dict[str, Topic] = {}

    def __len__(self) -> int:
        return len(self._topics)

    def get(self, name: str) -> Topic | None:
        """Returns the topic; None if this node has neither local members nor entries in it."""
        return self._topics.get(name)

    def get_or_create(self, name: str) -> Topic:
        """Returns the topic, and creates it if it is new. It stays until `discard_if_idle`."""
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(self._node)
        return topic

    def discard_if_idle(self, name: str) -> None:
        """Forget the topic if it has neither local members nor entries of this node."""
        topic = self._topics.get(name)
        if topic is not None and topic.replica is None and not topic.state.has_own:
            del self._topics[name]

    def replicated(self) -> list[tuple[str, TopicState, Replica]]:
        """Returns the topics with local members: name, state and replica."""
        return [(name, topic.state, topic.replica) for name, topic in self._topics.items() if topic.replica is not None]

    def written(self) -> list[str]:
        """Returns the topics in which the store should have entries of this node."""
        return [name for name, topic in self._topics.items() if topic.state.sequence]


def take_batch(names: dict[str, None]) -> list[str]:
    """Remove and return the first names of an ordered set: as many as one call to the store takes."""
    taken = list(names)[:TOPICS_AT_ONCE]
    for name in taken:
        del names[name]
    return taken
