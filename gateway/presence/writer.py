"""Writes this node's entries to the store, then tells other nodes, and regularly checks that the store has them.

A change is published only after it is stored. So a node that loads the topic gets it from the store or as a change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from gateway.presence.resources import Resources
from gateway.presence.state import Change, Part
from gateway.presence.store import StoreUnavailable, Write
from gateway.presence.topics import TOPICS_AT_ONCE, take_batch
from shared.logs import log_of

log = log_of(__name__)


class Writer:
    """Writes the entries of one node, one call to the store at a time."""

    def __init__(self, resources: Resources, *, sweep_seconds: float) -> None:
        self._resources = resources
        self._sequence = 0
        # Work for the loop. Dictionaries serve as ordered sets.
        self._unwritten: dict[str, None] = {}
        self._unchecked: dict[str, None] = {}
        self._leftovers: dict[str, dict[str, None]] = {}
        self._write_wanted = resources.loops.signal()
        self._sweep: list[str] = []
        self._sweep_seconds = sweep_seconds
        self._next_sweep = self._resources.clock() + sweep_seconds
        self._ended: dict[str, Change] = {}
        self._ended_before: dict[str, Change] = {}
        """Topics in which this node's entries ended during this sweep, and during the one before."""
        self.has_given_up = False
        """True if something was not written because the store was away while this node stopped."""

    # What is to be done

    def changed(self, name: str) -> None:
        """Write the topic soon: an entry of this node was added, changed or removed."""
        self._unwritten[name] = None
        self._write_wanted.set()

    def check_all(self) -> None:
        """Check soon that the store and the other nodes have all entries of this node."""
        self._unchecked.update(dict.fromkeys(self._resources.topics.written()))
        self._write_wanted.set()

    def sweep_on(self) -> None:
        """Check the next topics with entries of this node. A sweep checks each topic once."""
        now = self._resources.clock()
        if not self._sweep and now >= self._next_sweep:
            self._next_sweep = now + self._sweep_seconds
            self._ended_before, self._ended = self._ended, {}
            self._sweep = self._resources.topics.written()
        if self._sweep:
            self._unchecked.update(dict.fromkeys(self._sweep[-TOPICS_AT_ONCE:]))
            del self._sweep[-TOPICS_AT_ONCE:]
            self._write_wanted.set()

    def clear_away(self, node: str, names: Collection[str]) -> None:
        """Remove soon what a dead node left in these topics."""
        self._leftovers.setdefault(node, {}).update(dict.fromkeys(names))
        self._write_wanted.set()

    def announce_ended(self) -> None:
        """Tell the other nodes again in which topics this node's entries have recently ended."""
        for name, change in {**self._ended_before, **self._ended}.items():
            self._resources.audience.tell_nodes(name, change)

    # Doing it

    async def write_loop(self) -> None:
        """Do the work that the other methods request, until the loops stop."""
        # Register first: other nodes ignore the entries of a node that they do not know to be alive.
        await self._resources.leases.registered.wait()
        while not self._resources.loops.stopping or self._unwritten:
            await self._write_wanted.wait()
            self._write_wanted.clear()
            while self._unwritten:
                await self._write(take_batch(self._unwritten))
            if self._resources.loops.stopping:
                return
            while self._unchecked:
                await self._check(take_batch(self._unchecked))
            while self._leftovers:
                await self._remove(*self._leftovers.popitem())

    async def _write(self, names: list[str]) -> None:
        writes = self._take_writes(names)
        if writes:
            # Repeat the same changes until they are stored: a repetition changes nothing.
            written = await self._persist(lambda: self._resources.store.write(self._resources.node, writes))
            lost = [write.topic for write, done in zip(writes, written, strict=True) if not done]
            if lost:
                await self._persist(lambda: self._resources.store.rewrite(self._resources.node, self._own_parts(lost)))
            for write in writes:
                self._resources.audience.tell_nodes(write.topic, write.change)
            self._announce(lost)
        for name in names:
            self._resources.topics.discard_if_idle(name)

    def _take_writes(self, names: Iterable[str]) -> list[Write]:
        writes: list[Write] = []
        for name in names:
            topic = self._resources.topics.get(name)
            change = None if topic is None else topic.state.take_change(self._sequence + 1)
            if topic is None or change is None:
                continue
            self._sequence = change.sequence
            writes.append(Write(name, change, topic.state.sequence))
            self._ended_before.pop(name, None)
            self._ended.pop(name, None)
            if not topic.state.sequence:
                self._ended[name] = topic.state.announcement()
        return writes

    async def _check(self, names: list[str]) -> None:
        stored = await self._persist(lambda: self._resources.store.check(self._resources.node, names))
        lost = [name for name, sequence in zip(names, stored, strict=True) if self._own_part(name).sequence != sequence]
        if lost:
            log.warning("presence stored again", topics=len(lost))
            await self._persist(lambda: self._resources.store.rewrite(self._resources.node, self._own_parts(lost)))
        self._announce(names)

    async def _remove(self, node: str, names: dict[str, None]) -> None:
        while names and node not in self._resources.leases.alive:
            batch = take_batch(names)
            await self._persist(lambda: self._resources.store.remove(node, batch))  # noqa: B023

    async def _persist(self, call: Callable[[], Any]) -> Any:
        """Repeat the call until it succeeds."""
        while True:
            try:
                return await call()
            except StoreUnavailable as error:
                self.has_given_up = self._resources.loops.stopping
                await self._resources.loops.pause("write", error)

    def _announce(self, names: Iterable[str]) -> None:
        """Announce the topics: a node that lacks entries of this node notices it and loads the topic again."""
        for name in names:
            topic = self._resources.topics.get(name)
            if topic is not None and topic.state.sequence:
                self._resources.audience.tell_nodes(name, topic.state.announcement())

    def _own_parts(self, names: Iterable[str]) -> dict[str, Part]:
        return {name: self._own_part(name) for name in names}

    def _own_part(self, name: str) -> Part:
        topic = self._resources.topics.get(name)
        return Part(0, ()) if topic is None else topic.state.own_part()
