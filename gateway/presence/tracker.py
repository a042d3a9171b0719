"""Presence on one node: the entries of its own channels, and a replica of the topics that its clients have joined.

A local change takes effect and reaches local members at once. A writer then stores it, and publishes it once it is
stored; whoever subscribes first and loads the stored topic afterwards has therefore every change in one or the other.
Knows channels as owners only, and nothing of sockets.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Iterable
from typing import Any, Protocol

from gateway.presence.liveness import Liveness
from gateway.presence.refs import Refs
from gateway.presence.state import Change, Diff, Grouped, Part, TopicState
from gateway.presence.store import Store, StoreUnavailable, Write
from gateway.presence.wire import BadPresence, own_copy, pack_change, unpack_change

logger = logging.getLogger(__name__)

PRESENCE_STATE = "presence_state"
"""What a channel pushes to its client after the join: `tracker.list(topic)`."""
PRESENCE_DIFF = "presence_diff"
"""What local members are sent, with a diff; and what nodes send each other, with a change that `receive` reads."""

TOPICS_AT_ONCE = 200
"""How many topics one call to the store reads, writes or checks."""
BEATS_PER_LEASE = 4
SWEEP_SECONDS = 30
"""How often each topic of this node is checked in the store and announced: what got lost unnoticed is healed then."""

_Topics = list[str]


class AlreadyTracked(Exception):
    """The owner tracks this key in this topic already; it can update it."""


class NotTracked(LookupError):
    """The owner does not track this key in this topic."""


class _Stopped(Exception):
    """The tracker ends while its store is away."""


class Outlet(Protocol):
    """Where a tracker's words go: the endpoint."""

    def broadcast_local(self, topic: str, event: str, payload: dict[str, Any]) -> None:
        """To the members on this node, queued for each before this returns. Must not raise."""

    def publish(self, topic: str, event: str, payload: bytes) -> None:
        """To the other nodes that subscribe to the topic, in this order; never waits. Their trackers `receive` it."""


class _Phase(enum.Enum):
    """How the replica of the others' entries stands."""

    ABSENT = enum.auto()
    """No local member: not kept."""
    WANTED = enum.auto()
    """To be loaded. What is received is left out: it is in the store already."""
    LOADING = enum.auto()
    """What is received waits for the snapshot."""
    CURRENT = enum.auto()


class _Topic:
    """What a tracker knows of one topic."""

    __slots__ = ("buffer", "current", "ignored", "members", "phase", "state", "unconfirmed")

    def __init__(self, node: str) -> None:
        self.state = TopicState(node)
        self.members = 0
        self.phase = _Phase.ABSENT
        self.buffer: list[tuple[str, Change]] = []
        self.current = asyncio.Event()
        """Set when the replica has been loaded, since the first local member came."""
        self.unconfirmed: dict[str, float] = {}
        """Nodes whose entries the store was lacking, and since when."""
        self.ignored: frozenset[str] = frozenset()
        """Nodes that were not alive, whose entries are in the store."""


class Tracker:
    """One for each process. Everything in it belongs to one loop.

    Local members of a topic get each change of its list exactly once, as a `presence_diff`; `list()` has it from the
    same moment. With the store away, local changes work as ever, and the other nodes' entries stay as they were; when
    it is back each side learns what it missed. A node that dies takes its entries with it within 1.25 leases.
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
        new_ref: Callable[[], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`node` is this process's own, never used before. `load_seconds` bounds the wait in `topic_joined`."""
        self._node = node
        self._store = store
        self._outlet = outlet
        self._lease_seconds = lease_seconds
        self._load_seconds = load_seconds
        self._new_ref = new_ref or Refs(node)
        self._clock = clock
        self._sequence = 0
        self._topics: dict[str, _Topic] = {}
        self._owners: dict[Hashable, dict[tuple[str, str], str]] = {}
        self._liveness = Liveness(lease_seconds)
        self._beating = asyncio.Lock()
        self._others: set[str] = set()
        """Every other node that was heard of, until it is dead."""
        self._unconfirmed: set[str] = set()
        """The topics that have unconfirmed nodes."""
        # Work for the loops. Dictionaries serve as ordered sets.
        self._forwarding: deque[tuple[str, Diff]] = deque()
        self._unloaded: dict[str, None] = {}
        self._unwritten: dict[str, None] = {}
        self._unchecked: dict[str, None] = {}
        self._leftovers: dict[str, dict[str, None]] = {}
        self._ended: dict[str, Change] = {}
        self._ended_before: dict[str, Change] = {}
        """The topics where this node's entries ended, in this sweep and in the one before."""
        self.on_node_gone: Callable[[], None] | None = None
        """Called when a node that was alive no longer is, however it ended."""
        self._sweep: list[str] = []
        self._sweep_seconds = sweep_seconds
        self._next_sweep = clock() + sweep_seconds
        self._load_wanted = asyncio.Event()
        self._write_wanted = asyncio.Event()
        self._beat_wanted = asyncio.Event()
        self._link_is_back = asyncio.Event()
        self._registered = asyncio.Event()
        self._stopping = False
        self._is_written = True
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def topics(self) -> int:
        """How many topics something is kept for."""
        return len(self._topics)

    # Life

    async def start(self) -> None:
        """Register this node, or keep trying in the background."""
        loops = (self._beat_loop, self._load_loop, self._write_loop)
        self._tasks = [asyncio.create_task(self._keep_up(loop), name=f"presence{loop.__name__}") for loop in loops]

    async def stop(self, timeout_seconds: float = 2.0) -> None:
        """Take this node's entries away everywhere, and end. Call it before the broker stops; the store stays open."""
        for owner in list(self._owners):
            self.owner_gone(owner)
        self._stopping = True
        for event in (self._load_wanted, self._write_wanted, self._beat_wanted, self._link_is_back, self._registered):
            event.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if not late and self._is_written:
                try:
                    await self._store.depart(self._node)
                except StoreUnavailable:
                    logger.info("presence node not deregistered, its lease will run out")
        self._tasks = []

    # What channels do. These never wait for anything: they are awaited so that a channel reads alike everywhere.

    async def track(self, topic: str, key: str, meta: dict[str, Any], owner: Hashable) -> str:
        """Add an entry, until it is untracked or its owner is gone; returns its phx_ref.

        Raises AlreadyTracked, TypeError if the key is no string or the meta no object, ValueError if the meta cannot
        be JSON.
        """
        key, meta = own_copy(key, meta)
        refs = self._owners.get(owner, {})
        if (topic, key) in refs:
            raise AlreadyTracked(f"{key!r} in {topic!r}")
        ref = self._new_ref()
        refs[topic, key] = ref
        self._owners[owner] = refs
        self._changed(topic, self._topic(topic).state.track(key, ref, meta))
        return ref

    async def update(self, topic: str, key: str, meta: dict[str, Any], owner: Hashable) -> str:
        """Replace the entry's meta; returns its new phx_ref. Raises NotTracked, and as `track` does."""
        key, meta = own_copy(key, meta)
        refs = self._owners.get(owner, {})
        ref = refs.get((topic, key))
        if ref is None:
            raise NotTracked(f"{key!r} in {topic!r}")
        new_ref = refs[topic, key] = self._new_ref()
        self._changed(topic, self._topic(topic).state.update(ref, new_ref, meta))
        return new_ref

    async def untrack(self, topic: str, key: str, owner: Hashable) -> None:
        """End the entry; none is no error, as in Phoenix."""
        refs = self._owners.get(owner, {})
        ref = refs.pop((topic, key), None)
        if ref is not None:
            if not refs:
                del self._owners[owner]
            self._changed(topic, self._topic(topic).state.untrack(ref))

    def owner_gone(self, owner: Hashable) -> None:
        """The channel ended: end all its entries. It must not track any more."""
        refs_by_topic: dict[str, list[str]] = {}
        for (topic, _), ref in self._owners.pop(owner, {}).items():
            refs_by_topic.setdefault(topic, []).append(ref)
        for topic, refs in refs_by_topic.items():
            state = self._topic(topic).state
            self._changed(topic, Diff(leaves=tuple(entry for ref in refs for entry in state.untrack(ref).leaves)))

    def list(self, topic: str) -> Grouped:
        """`{key: {"metas": [...]}}` of all nodes, as far as a local member's replica has it; do not change it.

        Push it as `presence_state` without an await in between: each later diff then follows it.
        """
        record = self._topics.get(topic)
        return {} if record is None else record.state.list()

    # What the endpoint tells

    async def topic_joined(self, topic: str) -> None:
        """The topic is subscribed, and is about to have one local member more: keep a replica of it.

        Returns when the others' entries are in `list()`, after `load_seconds` at most; those that come later come as a
        diff. From the second member on it returns at once. If cancelled it takes itself back.
        """
        record = self._topic(topic)
        record.members += 1
        if record.phase is _Phase.ABSENT:
            self._want(topic, record)
        if not record.current.is_set():
            try:
                async with asyncio.timeout(self._load_seconds):
                    await record.current.wait()
            except TimeoutError:
                logger.info("presence not loaded in time", extra={"fields": {"topic": topic}})
            except asyncio.CancelledError:
                self.topic_left(topic)
                raise

    def topic_left(self, topic: str) -> None:
        """Takes back one `topic_joined`. With the last the replica is dropped; own entries stay until untracked."""
        record = self._topics.get(topic)
        if record is None or not record.members:
            return
        record.members -= 1
        if record.members:
            return
        self._unloaded.pop(topic, None)
        self._unconfirmed.discard(topic)
        record.phase = _Phase.ABSENT
        record.current = asyncio.Event()
        record.buffer = []
        record.unconfirmed = {}
        record.ignored = frozenset()
        record.state.forget_others()
        self._discard_if_idle(topic, record)

    def receive(self, topic: str, node: str, payload: bytes) -> None:
        """Another node published this as PRESENCE_DIFF on the topic. Never raises."""
        record = self._topics.get(topic)
        if record is None or node == self._node or record.phase in (_Phase.ABSENT, _Phase.WANTED):
            return
        try:
            change = unpack_change(payload)
        except BadPresence as error:
            logger.warning("bad presence change", extra={"fields": {"topic": topic, "node": node, "error": str(error)}})
            return
        self._others.add(node)
        if record.phase is _Phase.LOADING:
            record.buffer.append((node, change))
        else:
            self._apply(topic, record, node, change)

    def link_restored(self) -> None:
        """Changes may have been missed in both directions: load every replica anew, and tell where this node stands."""
        for topic, record in self._topics.items():
            if record.phase is not _Phase.ABSENT:
                self._want(topic, record)
        self._check_all()
        for topic, change in {**self._ended_before, **self._ended}.items():
            self._outlet.publish(topic, PRESENCE_DIFF, pack_change(change))
        self._beat_wanted.set()
        self._link_is_back.set()

    # The state of topics

    def _topic(self, topic: str) -> _Topic:
        record = self._topics.get(topic)
        if record is None:
            record = self._topics[topic] = _Topic(self._node)
        return record

    def _discard_if_idle(self, topic: str, record: _Topic) -> None:
        if record.phase is _Phase.ABSENT and not record.state.has_own:
            self._topics.pop(topic, None)

    def _changed(self, topic: str, diff: Diff) -> None:
        """An own change: to local members now, to the store and the other nodes soon."""
        self._unwritten[topic] = None
        self._write_wanted.set()
        self._forward(topic, diff)

    def _forward(self, topic: str, diff: Diff) -> None:
        """To local members, one after the other: what a channel changes on hearing of one comes behind it."""
        if not diff:
            return
        self._forwarding.append((topic, diff))
        if len(self._forwarding) > 1:
            return
        try:
            while self._forwarding:
                topic, diff = self._forwarding[0]
                self._outlet.broadcast_local(topic, PRESENCE_DIFF, diff.payload())
                self._forwarding.popleft()
        except BaseException:
            self._forwarding.clear()
            raise

    def _apply(self, topic: str, record: _Topic, node: str, change: Change) -> None:
        diff = record.state.receive(node, change)
        if diff is None:
            self._want(topic, record)
        else:
            self._forward(topic, diff)

    # Loading

    def _want(self, topic: str, record: _Topic) -> None:
        record.phase = _Phase.WANTED
        record.buffer = []
        self._unloaded[topic] = None
        self._load_wanted.set()

    async def _load_loop(self) -> None:
        while not self._stopping:
            await self._load_wanted.wait()
            self._load_wanted.clear()
            while self._unloaded and not self._stopping:
                try:
                    await self._load(_take(self._unloaded))
                except StoreUnavailable as error:
                    await self._pause("load", error)

    async def _load(self, topics: _Topics) -> None:
        loading: dict[str, _Topic] = {}
        for topic in topics:
            record = self._topics.get(topic)
            if record is not None and record.phase is _Phase.WANTED:
                record.phase = _Phase.LOADING
                loading[topic] = record
        try:
            snapshots = dict(zip(loading, await self._store.load(list(loading)), strict=True))
            trusting = False
            if any(self._is_odd(record, snapshots[topic]) for topic, record in loading.items()):
                # The registry, read after the snapshot, says whether the store can have lost something before.
                trusting = await self._beat() and self._store.loses_together
            for topic, record in loading.items():
                # It may have been left, or wanted anew, meanwhile.
                if record.phase is _Phase.LOADING:
                    self._loaded(topic, record, snapshots[topic], trusting)
        except Exception:
            for topic, record in loading.items():
                if record.phase is _Phase.LOADING:
                    self._want(topic, record)
            raise

    def _is_odd(self, record: _Topic, parts: dict[str, Part]) -> bool:
        """Whether the snapshot has a node that is not known to be alive, or lacks one that had entries."""
        alive = self._liveness.alive
        return any(node not in alive for node in parts if node != self._node) or any(
            node not in parts for node in record.state.others
        )

    def _loaded(self, topic: str, record: _Topic, parts: dict[str, Part], trusting: bool) -> None:
        now = self._clock()
        trusted = set(record.state.others) if trusting else self._due(record, now)
        loaded = record.state.load(parts, self._liveness.alive, trusted)
        record.unconfirmed = {node: record.unconfirmed.get(node, now) for node in sorted(loaded.unconfirmed)}
        if record.unconfirmed:
            self._unconfirmed.add(topic)
        else:
            self._unconfirmed.discard(topic)
        record.ignored = loaded.ignored
        self._others.update(parts.keys() - {self._node})
        record.phase = _Phase.CURRENT
        record.current.set()
        self._forward(topic, loaded.diff)
        buffer, record.buffer = record.buffer, []
        for node, change in buffer:
            if record.phase is _Phase.CURRENT:
                self._apply(topic, record, node, change)

    def _due(self, record: _Topic, now: float) -> set[str]:
        """The nodes that have had a lease's time to store again what was missing."""
        return {node for node, since in record.unconfirmed.items() if now - since >= self._lease_seconds}

    # Leases

    async def _beat_loop(self) -> None:
        while not self._stopping:
            try:
                await self._beat()
            except StoreUnavailable as error:
                logger.warning("presence store away", extra={"fields": {"error": str(error)}})
            try:
                async with asyncio.timeout(self._lease_seconds / BEATS_PER_LEASE):
                    await self._beat_wanted.wait()
            except TimeoutError:
                pass
            self._beat_wanted.clear()

    async def _beat(self) -> bool:
        """Register, and act on what the registry says; whether what is not in the store now was never lost by it."""
        async with self._beating:
            try:
                registry = await self._store.beat(self._node, self._lease_seconds)
            except StoreUnavailable:
                self._liveness.missed()
                raise
            now = self._clock()
            alive = self._liveness.alive
            seen = self._liveness.observe(registry, sorted(self._others), now)
        self._registered.set()
        if self.on_node_gone is not None and alive - self._liveness.alive - {self._node}:
            self.on_node_gone()
        if seen.lost or seen.late:
            logger.warning("presence store lost this node", extra={"fields": {"lost": seen.lost, "late": seen.late}})
            self._check_all()
        for node in seen.dead:
            self._bury(node)
        for topic in sorted(self._unconfirmed):
            record = self._topics[topic]
            if record.phase is _Phase.CURRENT and self._due(record, now):
                self._want(topic, record)
        self._sweep_on(now)
        return self._liveness.is_complete(now)

    def _bury(self, node: str) -> None:
        """The node is dead: its entries leave every list here, and the store."""
        self._others.discard(node)
        topics: dict[str, None] = {}
        for topic, record in list(self._topics.items()):
            if node in record.state.others or node in record.ignored:
                topics[topic] = None
                record.ignored -= {node}
                record.unconfirmed.pop(node, None)
                self._forward(topic, record.state.drop(node))
        if topics:
            logger.warning("presence node gone", extra={"fields": {"node": node, "topics": len(topics)}})
            self._leftovers.setdefault(node, {}).update(topics)
            self._write_wanted.set()

    # Writing

    def _check_all(self) -> None:
        """See to it that the store has all entries of this node, and the other nodes as well."""
        self._unchecked.update((topic, None) for topic, record in self._topics.items() if record.state.sequence)
        self._write_wanted.set()

    def _sweep_on(self, now: float) -> None:
        """Check some more of the topics that have entries of this node, so that each has its turn."""
        if not self._sweep and now >= self._next_sweep:
            self._next_sweep = now + self._sweep_seconds
            self._ended_before, self._ended = self._ended, {}
            self._sweep = [topic for topic, record in self._topics.items() if record.state.sequence]
        if self._sweep:
            self._unchecked.update(dict.fromkeys(self._sweep[-TOPICS_AT_ONCE:]))
            del self._sweep[-TOPICS_AT_ONCE:]
            self._write_wanted.set()

    async def _write_loop(self) -> None:
        # A node whose entries can be seen must be seen to be alive.
        await self._registered.wait()
        while not self._stopping or self._unwritten:
            await self._write_wanted.wait()
            self._write_wanted.clear()
            while self._unwritten:
                await self._write(_take(self._unwritten))
            if self._stopping:
                return
            while self._unchecked:
                await self._check(_take(self._unchecked))
            while self._leftovers:
                await self._remove(*self._leftovers.popitem())

    async def _write(self, topics: _Topics) -> None:
        writes: list[Write] = []
        for topic in topics:
            record = self._topics.get(topic)
            if record is None:
                continue
            change = record.state.take_change(self._sequence + 1)
            if change is not None:
                self._sequence = change.sequence
                writes.append(Write(topic, change, record.state.sequence))
                self._ended_before.pop(topic, None)
                self._ended.pop(topic, None)
                if not record.state.sequence:
                    self._ended[topic] = record.state.announcement()
        if writes:
            # The same changes until they are stored: repeating one does nothing.
            written = await self._persist(lambda: self._store.write(self._node, writes))
            lost = [write.topic for write, done in zip(writes, written, strict=True) if not done]
            if lost:
                await self._persist(lambda: self._store.rewrite(self._node, self._own_parts(lost)))
            for write in writes:
                self._outlet.publish(write.topic, PRESENCE_DIFF, pack_change(write.change))
            self._announce(lost)
        for topic in topics:
            record = self._topics.get(topic)
            if record is not None:
                self._discard_if_idle(topic, record)

    async def _check(self, topics: _Topics) -> None:
        stored = await self._persist(lambda: self._store.check(self._node, topics))
        lost = [
            topic for topic, sequence in zip(topics, stored, strict=True) if self._own_part(topic).sequence != sequence
        ]
        if lost:
            logger.warning("presence stored again", extra={"fields": {"topics": len(lost)}})
            await self._persist(lambda: self._store.rewrite(self._node, self._own_parts(lost)))
        self._announce(topics)

    async def _remove(self, node: str, topics: dict[str, None]) -> None:
        while topics and node not in self._liveness.alive:
            batch = _take(topics)
            await self._persist(lambda: self._store.remove(node, batch))  # noqa: B023

    def _own_parts(self, topics: Iterable[str]) -> dict[str, Part]:
        return {topic: self._own_part(topic) for topic in topics}

    def _own_part(self, topic: str) -> Part:
        record = self._topics.get(topic)
        return Part(0, ()) if record is None else record.state.own_part()

    def _announce(self, topics: Iterable[str]) -> None:
        """A node that has not got all entries of this one notices it, and loads the topic again."""
        for topic in topics:
            record = self._topics.get(topic)
            if record is not None and record.state.sequence:
                self._outlet.publish(topic, PRESENCE_DIFF, pack_change(record.state.announcement()))

    async def _persist(self, call: Callable[[], Any]) -> Any:
        """Until it succeeds: what is to be written is not given up while the store is away."""
        while True:
            try:
                return await call()
            except StoreUnavailable as error:
                self._is_written = not self._stopping
                await self._pause("write", error)

    # The loops

    async def _keep_up(self, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A mistake of ours in one round costs that round, not all presence from then on."""
        while not self._stopping:
            try:
                await loop()
            except _Stopped:
                return
            except Exception:
                logger.exception("presence loop failed", extra={"fields": {"loop": loop.__name__}})
                await asyncio.sleep(self._lease_seconds / BEATS_PER_LEASE)

    async def _pause(self, doing: str, error: StoreUnavailable) -> None:
        logger.info("presence waits for its store", extra={"fields": {"doing": doing, "error": str(error)}})
        if self._stopping:
            raise _Stopped
        self._link_is_back.clear()
        try:
            async with asyncio.timeout(self._lease_seconds / BEATS_PER_LEASE):
                await self._link_is_back.wait()
        except TimeoutError:
            pass


def _take(topics: dict[str, None]) -> list[str]:
    """Some of the topics, the first first; they are no longer in the set."""
    taken = list(topics)[:TOPICS_AT_ONCE]
    for topic in taken:
        del topics[topic]
    return taken
