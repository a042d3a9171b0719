"""Keeps other nodes' entries in topics with local members.

It loads the entries from the store, applies the changes that arrive, and tells local members the differences.
"""

from __future__ import annotations

import asyncio

from gateway.presence.resources import Resources
from gateway.presence.state import Change, Part, TopicState
from gateway.presence.store import StoreUnavailable
from gateway.presence.topics import Phase, Replica, take_batch
from gateway.presence.wire import BadPresence, unpack_change
from shared.logs import log_of

log = log_of(__name__)


class Replicas:
    """The replicas of one node. A caller that subscribes to a topic before it calls `joined` misses no change."""

    def __init__(self, resources: Resources, *, lease_seconds: float, load_seconds: float) -> None:
        self._resources = resources
        self._lease_seconds = lease_seconds
        self._load_seconds = load_seconds
        self._unloaded: dict[str, None] = {}
        """An ordered set."""
        self._load_wanted = resources.loops.signal()
        self._unconfirmed: set[str] = set()
        """The topics with unconfirmed nodes."""

    # Members

    async def joined(self, name: str) -> None:
        """Count one more local member. Returns when the replica is loaded, or after `load_seconds`."""
        topic = self._resources.topics.get_or_create(name)
        replica = topic.replica
        if replica is None:
            replica = topic.replica = Replica()
            self._want(name, replica)
        replica.members += 1
        if not replica.current.is_set():
            try:
                async with asyncio.timeout(self._load_seconds):
                    await replica.current.wait()
            except TimeoutError:
                log.info("presence not loaded in time", topic=name)
            except asyncio.CancelledError:
                self.left(name)
                raise

    def left(self, name: str) -> None:
        """Count one local member less. The last one drops the replica."""
        topic = self._resources.topics.get(name)
        if topic is None or topic.replica is None:
            return
        replica = topic.replica
        replica.members -= 1
        if replica.members:
            return
        replica.phase = Phase.DROPPED
        topic.replica = None
        topic.state.forget_others()
        self._unloaded.pop(name, None)
        self._unconfirmed.discard(name)
        self._resources.topics.discard_if_idle(name)

    # Changes

    def receive(self, name: str, node: str, payload: bytes) -> None:
        """Apply a change that another node published. Never raises."""
        topic = self._resources.topics.get(name)
        if (
            topic is None
            or topic.replica is None
            or node == self._resources.node
            or topic.replica.phase is Phase.WANTED
        ):
            return
        try:
            change = unpack_change(payload)
        except BadPresence as error:
            log.warning("bad presence change", topic=name, node=node, error=str(error))
            return
        self._resources.leases.watch((node,))
        if topic.replica.phase is Phase.LOADING:
            topic.replica.buffer.append((node, change))
        else:
            self._apply(name, topic.state, topic.replica, node, change)

    def _apply(self, name: str, state: TopicState, replica: Replica, node: str, change: Change) -> None:
        diff = state.receive(node, change)
        if diff is None:
            self._want(name, replica)
        else:
            self._resources.audience.tell_members(name, diff)

    def drop_node(self, node: str) -> list[str]:
        """Remove a dead node's entries here. Returns the topics in which the store may still have some."""
        topics: list[str] = []
        for name, state, replica in self._resources.topics.replicated():
            if node in state.others or node in replica.ignored:
                topics.append(name)
                replica.ignored -= {node}
                replica.unconfirmed.pop(node, None)
                self._resources.audience.tell_members(name, state.drop(node))
        return topics

    # Loading

    def reload_all(self) -> None:
        """Load every topic again: changes may have been missed."""
        for name, _, replica in self._resources.topics.replicated():
            self._want(name, replica)

    def reload_due(self) -> None:
        """Load topics again whose nodes have had time to store the entries that the store lacked."""
        now = self._resources.clock()
        for name in sorted(self._unconfirmed):
            topic = self._resources.topics.get(name)
            replica = None if topic is None else topic.replica
            if replica is not None and replica.phase is Phase.CURRENT and self._due(replica, now):
                self._want(name, replica)

    def _due(self, replica: Replica, now: float) -> set[str]:
        """Returns the nodes that have had a full lease to store their missing entries again."""
        return {node for node, since in replica.unconfirmed.items() if now - since >= self._lease_seconds}

    def _want(self, name: str, replica: Replica) -> None:
        replica.phase = Phase.WANTED
        replica.buffer = []
        self._unloaded[name] = None
        self._load_wanted.set()

    async def load_loop(self) -> None:
        """Load the topics that have to be loaded, until the loops stop."""
        while not self._resources.loops.stopping:
            await self._load_wanted.wait()
            self._load_wanted.clear()
            while self._unloaded and not self._resources.loops.stopping:
                try:
                    await self._load(take_batch(self._unloaded))
                except StoreUnavailable as error:
                    await self._resources.loops.pause("load", error)

    async def _load(self, names: list[str]) -> None:
        loading: dict[str, tuple[TopicState, Replica]] = {}
        for name in names:
            topic = self._resources.topics.get(name)
            if topic is not None and topic.replica is not None and topic.replica.phase is Phase.WANTED:
                topic.replica.phase = Phase.LOADING
                loading[name] = topic.state, topic.replica
        try:
            snapshots = dict(zip(loading, await self._resources.store.load(list(loading)), strict=True))
            trusting = False
            if any(self._is_suspicious(state, snapshots[name]) for name, (state, _) in loading.items()):
                # The registry is read after the snapshot, so it shows whether the store had lost data before the
                # snapshot.
                trusting = await self._resources.leases.beat() and self._resources.store.loses_together
            for name, (state, replica) in loading.items():
                # In the meantime the last member may have left, or another load may have been requested.
                if replica.phase is Phase.LOADING:
                    self._loaded(name, state, replica, snapshots[name], trusting)
        except Exception:
            for name, (_, replica) in loading.items():
                if replica.phase is Phase.LOADING:
                    self._want(name, replica)
            raise

    def _is_suspicious(self, state: TopicState, parts: dict[str, Part]) -> bool:
        """True if the snapshot has a node that is not known to be alive, or lacks a node that had entries."""
        alive = self._resources.leases.alive
        return any(node not in alive for node in parts if node != self._resources.node) or any(
            node not in parts for node in state.others
        )

    def _loaded(self, name: str, state: TopicState, replica: Replica, parts: dict[str, Part], trusting: bool) -> None:
        now = self._resources.clock()
        trusted = set(state.others) if trusting else self._due(replica, now)
        loaded = state.load(parts, self._resources.leases.alive, trusted)
        replica.unconfirmed = {node: replica.unconfirmed.get(node, now) for node in sorted(loaded.unconfirmed)}
        if replica.unconfirmed:
            self._unconfirmed.add(name)
        else:
            self._unconfirmed.discard(name)
        replica.ignored = loaded.ignored
        self._resources.leases.watch(parts.keys() - {self._resources.node})
        replica.phase = Phase.CURRENT
        replica.current.set()
        self._resources.audience.tell_members(name, loaded.diff)
        buffer, replica.buffer = replica.buffer, []
        for node, change in buffer:
            if replica.phase is Phase.CURRENT:
                self._apply(name, state, replica, node, change)
