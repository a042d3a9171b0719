"""Presence on one node: the entries of its own channels, and other nodes' entries in topics that its clients joined.

A local change takes effect and reaches local members at once. writer.py stores it and then publishes it. replicas.py
keeps other nodes' entries, and leases.py knows which nodes are alive. The tracker connects them. It knows channels only
as owners of entries, and knows no sockets.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from gateway.presence.leases import BEATS_PER_LEASE, Leases
from gateway.presence.liveness import Observation
from gateway.presence.loops import Loops
from gateway.presence.outlet import PRESENCE_DIFF, PRESENCE_STATE, Audience, Outlet
from gateway.presence.refs import Refs
from gateway.presence.replicas import Replicas
from gateway.presence.resources import Resources
from gateway.presence.state import Diff, Entry, Grouped
from gateway.presence.store import Store, StoreUnavailable
from gateway.presence.topics import Topics
from gateway.presence.wire import own_copy
from gateway.presence.writer import Writer
from shared.logs import log_of

__all__ = ["PRESENCE_DIFF", "PRESENCE_STATE", "AlreadyTracked", "NotTracked", "Outlet", "Tracker"]

log = log_of(__name__)

SWEEP_SECONDS = 30
"""How often each topic of this node is checked in the store and announced, to repair unnoticed losses."""


class AlreadyTracked(Exception):
    """The owner tracks this key in this topic already; use `update`."""


class NotTracked(LookupError):
    """The owner does not track this key in this topic."""


class Tracker:
    """The presence of one process. Use it from one event loop.

    Local members of a topic get each change of its list exactly once, as a `presence_diff`; `list()` shows the change
    from the same moment. While the store is away, local changes work as usual, and other nodes' entries stay as they
    were. When it is back, each side learns what it missed. A dead node's entries are gone within 1.25 leases.
    """

    def __init__(
        self,
        node: str,
        store: Store,
        outlet: Outlet,
        *,
        lease_seconds: float,
        load_seconds: float,
        sweep_seconds: float = SWEEP_SECONDS,
        diff_limit: tuple[float, float] | None = None,
        most_of_key: int = sys.maxsize,
        most_listed: int = sys.maxsize,
        new_ref: Callable[[], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`node` is an id that no process has used before. `load_seconds` limits the wait in `topic_joined`.

        Of a key in a topic, at most `most_of_key` entries of this node are shown. Further ones wait: each is shown when
        another one ends. `list()` has at most `most_listed` entries.
        """
        self._node = node
        self._store = store
        self._new_ref = new_ref or Refs(node)
        self._owners: dict[Hashable, dict[tuple[str, str], str]] = {}
        """The phx_refs of each owner, by topic and key."""
        self._most_of_key = most_of_key
        self._most_listed = most_listed
        self._shown: dict[tuple[str, str], int] = {}
        """The number of this node's entries that are shown, by topic and key."""
        self._waiting: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        """The metas of entries that wait until another one of their topic and key ends, by phx_ref."""
        self._topics = Topics(node)
        self._audience = Audience(outlet, diff_limit)
        self._loops = loops = Loops(lease_seconds / BEATS_PER_LEASE)
        self._leases = leases = Leases(
            node, store, loops, lease_seconds=lease_seconds, clock=clock, on_observation=self._on_observation
        )
        resources = Resources(node, self._topics, store, leases, self._audience, loops, clock)
        self._replicas = Replicas(resources, lease_seconds=lease_seconds, load_seconds=load_seconds)
        self._writer = Writer(resources, sweep_seconds=sweep_seconds)

    @property
    def topics(self) -> int:
        """Number of topics with entries of this node or local members."""
        return len(self._topics)

    # Life

    async def start(self) -> None:
        """Register this node in the background, and keep trying until that succeeds."""
        self._loops.start((self._leases.beat_loop, self._replicas.load_loop, self._writer.write_loop))

    async def stop(self, timeout_seconds: float = 2.0) -> None:
        """Remove this node's entries everywhere, and stop. Call it before the broker stops. The store stays open."""
        for owner in list(self._owners):
            self.owner_gone(owner)
        if await self._loops.stop(timeout_seconds) and not self._writer.has_given_up:
            try:
                await self._store.depart(self._node)
            except StoreUnavailable:
                log.info("presence node not deregistered, its lease will run out")

    # What channels do

    def track(self, topic: str, key: str, meta: dict[str, Any], owner: Hashable) -> str:
        """Add an entry until it is untracked or its owner is gone. Returns its phx_ref.

        Raises AlreadyTracked, TypeError if the key is not a string or the meta is not an object, or ValueError if JSON
        cannot express the meta.
        """
        key, meta = own_copy(key, meta)
        refs = self._owners.get(owner, {})
        if (topic, key) in refs:
            raise AlreadyTracked(f"{key!r} in {topic!r}")
        ref = self._new_ref()
        refs[topic, key] = ref
        self._owners[owner] = refs
        shown = self._shown.get((topic, key), 0)
        if shown >= self._most_of_key:
            self._waiting.setdefault((topic, key), {})[ref] = meta
            return ref
        self._shown[topic, key] = shown + 1
        self._changed(topic, self._topics.get_or_create(topic).state.track(key, ref, meta))
        return ref

    def update(self, topic: str, key: str, meta: dict[str, Any], owner: Hashable) -> str:
        """Replace the entry's meta. Returns its new phx_ref. Raises NotTracked, and what `track` raises."""
        key, meta = own_copy(key, meta)
        refs = self._owners.get(owner, {})
        ref = refs.get((topic, key))
        if ref is None:
            raise NotTracked(f"{key!r} in {topic!r}")
        new_ref = refs[topic, key] = self._new_ref()
        waiting = self._waiting.get((topic, key), {})
        if waiting.pop(ref, None) is not None:
            waiting[new_ref] = meta
            return new_ref
        self._changed(topic, self._topics.get_or_create(topic).state.update(ref, new_ref, meta))
        return new_ref

    def untrack(self, topic: str, key: str, owner: Hashable) -> None:
        """Remove the entry. Does nothing if there is none, as in Phoenix."""
        refs = self._owners.get(owner, {})
        ref = refs.pop((topic, key), None)
        if ref is not None:
            if not refs:
                del self._owners[owner]
            self._end(topic, [(key, ref)])

    def owner_gone(self, owner: Hashable) -> None:
        """Remove all entries of a channel that has ended. The channel must not track anything afterwards."""
        by_topic: dict[str, list[tuple[str, str]]] = {}
        for (topic, key), ref in self._owners.pop(owner, {}).items():
            by_topic.setdefault(topic, []).append((key, ref))
        for topic, entries in by_topic.items():
            self._end(topic, entries)

    def _end(self, topic: str, ended: Sequence[tuple[str, str]]) -> None:
        """End entries, each a key and a phx_ref, and show those that have waited for their places, in one diff."""
        leaves: list[Entry] = []
        joins: list[Entry] = []
        for key, ref in ended:
            place = topic, key
            waiting = self._waiting.get(place, {})
            if waiting.pop(ref, None) is None:
                state = self._topics.get_or_create(topic).state
                leaves += state.untrack(ref).leaves
                if waiting:
                    next_ref = next(iter(waiting))
                    joins += state.track(key, next_ref, waiting.pop(next_ref)).joins
                elif self._shown[place] > 1:
                    self._shown[place] -= 1
                else:
                    del self._shown[place]
            if not waiting:
                self._waiting.pop(place, None)
        if leaves:
            self._changed(topic, Diff(tuple(joins), tuple(leaves)))

    def list(self, topic: str) -> Grouped:
        """Returns `{key: {"metas": [...]}}` of all nodes, as far as they are loaded, up to the bound. Do not change it.

        Push it as `presence_state` without an await in between, so that each later diff follows it.
        """
        known = self._topics.get(topic)
        return {} if known is None else known.state.list(self._most_listed)

    def _changed(self, topic: str, diff: Diff) -> None:
        """Tell local members about a change of this node now, and the store and other nodes soon."""
        self._writer.changed(topic)
        self._audience.tell_members(topic, diff)

    # What the endpoint tells

    async def topic_joined(self, topic: str) -> None:
        """Count one more local member of a subscribed topic, and keep a replica of the topic.

        Returns when other nodes' entries are in `list()`, or after `load_seconds`; entries loaded later come as a diff.
        Returns at once if they are loaded. If it is cancelled, the member is not counted.
        """
        await self._replicas.joined(topic)

    def topic_left(self, topic: str) -> None:
        """Undo one `topic_joined`. The last one drops the replica; own entries stay until they are untracked."""
        self._replicas.left(topic)

    def receive(self, topic: str, node: str, payload: bytes) -> None:
        """Apply a change that another node published on the topic as PRESENCE_DIFF. Never raises."""
        self._replicas.receive(topic, node, payload)

    def link_restored(self) -> None:
        """Load every replica again, and announce this node's entries: either side may have missed changes."""
        self._replicas.reload_all()
        self._writer.check_all()
        self._writer.announce_ended()
        self._leases.beat_soon()
        self._loops.retry_now()

    # What the registry tells

    def _on_observation(self, seen: Observation) -> None:
        if seen.lost or seen.late:
            self._writer.check_all()
        for node in seen.dead:
            topics = self._replicas.drop_node(node)
            if topics:
                log.warning("presence node gone", node=node, topics=len(topics))
                self._writer.clear_away(node, topics)
        self._replicas.reload_due()
        self._writer.sweep_on()
