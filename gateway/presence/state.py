"""Presence of one topic as one node knows it: who is there, and the diffs that changes make. Pure: no I/O, no clock.

Every entry has a `phx_ref` that no other entry ever has, and belongs to one node, the only one that changes it. What a
node tells the others of its entries in a topic is a chain of changes: each carries its sequence and the sequence of the
change before it, so that a receiver knows whether it missed one, has it already, or can apply it. A chain starts after
0 when the node had no entry in the topic, and ends when it has none any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

Meta = dict[str, Any]
Grouped = dict[str, dict[str, list[Meta]]]
"""`{key: {"metas": [...]}}`"""


class Entry(NamedTuple):
    """One presence: its key, and its meta, which holds `phx_ref` and after an update `phx_ref_prev`."""

    key: str
    meta: Meta

    @property
    def ref(self) -> str:
        return str(self.meta["phx_ref"])


class Diff(NamedTuple):
    """What changed in the list, as `presence_diff` tells clients. Empty, and then false, if nothing did."""

    joins: tuple[Entry, ...] = ()
    leaves: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.joins or self.leaves)

    def payload(self) -> dict[str, Grouped]:
        """`{"joins": {key: {"metas": [...]}}, "leaves": {...}}`, both always there."""
        return {"joins": grouped(self.joins), "leaves": grouped(self.leaves)}


class Change(NamedTuple):
    """One link of a node's chain. Of what left, the refs are enough: whoever can apply it has the entries."""

    sequence: int
    previous: int
    joins: tuple[Entry, ...] = ()
    leaves: tuple[str, ...] = ()


class Part(NamedTuple):
    """All entries of one node in a topic, as of the change with this sequence."""

    sequence: int
    entries: tuple[Entry, ...]


class Loaded(NamedTuple):
    """What taking over a stored snapshot came to."""

    diff: Diff
    unconfirmed: frozenset[str]
    """Nodes whose entries were kept although the snapshot does not have them, or not so recent."""
    ignored: frozenset[str]
    """Nodes whose entries in the snapshot were not believed."""


def grouped(entries: Iterable[Entry]) -> Grouped:
    """`{key: {"metas": [...]}}`; metas by phx_ref, that is oldest first, and keys by their oldest meta."""
    groups: Grouped = {}
    for entry in sorted(entries, key=lambda entry: entry.ref):
        group = groups.get(entry.key)
        if group is None:
            group = groups[entry.key] = {"metas": []}
        group["metas"].append(entry.meta)
    return groups


def _entry(key: str, meta: Mapping[str, Any], refs: Meta) -> Entry:
    # They come first, as in Phoenix's frames, and win over what the meta calls so.
    return Entry(key, {**refs, **meta, **refs})


class TopicState:
    """The entries of all nodes in one topic, of which `node` is the one that this state belongs to.

    The methods that change it return the diff for the clients, exactly what changed in `list()`. So a client that was
    given `list()` and every diff made after it holds the same list; diffs made before it do no harm, in order.
    """

    def __init__(self, node: str) -> None:
        self.node = node
        self._own: dict[str, Entry] = {}
        self._sequence = 0
        self._last_sequence = 0
        self._unsent_joins: dict[str, Entry] = {}
        self._unsent_leaves: dict[str, Entry] = {}
        # A node is in both of these or in neither; its sequence is never 0, its entries are never none.
        self._others: dict[str, dict[str, Entry]] = {}
        self._known: dict[str, int] = {}

    def list(self) -> Grouped:
        """`{key: {"metas": [...]}}`, the payload of `presence_state`. The metas are shared: do not change them."""
        entries = list(self._own.values())
        for others in self._others.values():
            entries += others.values()
        return grouped(entries)

    # The node's own entries.

    def track(self, key: str, ref: str, meta: Mapping[str, Any]) -> Diff:
        """A new entry; `ref` has never been used before."""
        return Diff(joins=(self._join(_entry(key, meta, {"phx_ref": ref})),))

    def update(self, ref: str, new_ref: str, meta: Mapping[str, Any]) -> Diff:
        """The own entry `ref` becomes `new_ref` with another meta, in one diff. Raises KeyError if there is none."""
        left = self._leave(ref)
        joined = self._join(_entry(left.key, meta, {"phx_ref": new_ref, "phx_ref_prev": ref}))
        return Diff(joins=(joined,), leaves=(left,))

    def untrack(self, ref: str) -> Diff:
        """The own entry `ref` ends. Raises KeyError if there is none."""
        return Diff(leaves=(self._leave(ref),))

    def _join(self, entry: Entry) -> Entry:
        self._own[entry.ref] = self._unsent_joins[entry.ref] = entry
        return entry

    def _leave(self, ref: str) -> Entry:
        entry = self._own.pop(ref)
        if self._unsent_joins.pop(ref, None) is None:
            self._unsent_leaves[ref] = entry
        return entry

    @property
    def sequence(self) -> int:
        """Of the last change taken; 0 if after it the node had no entries."""
        return self._sequence

    @property
    def has_own(self) -> bool:
        """Whether the others know, or will be told, of entries of this node."""
        return bool(self._own or self._sequence or self._unsent_leaves)

    def own_part(self) -> Part:
        """The own entries as of the last change taken.

        None that is not yet in a change: it may end before it ever is, and whoever had loaded it would keep it.
        """
        told = {ref: entry for ref, entry in self._own.items() if ref not in self._unsent_joins}
        return Part(self._sequence, (*told.values(), *self._unsent_leaves.values()))

    def take_change(self, sequence: int) -> Change | None:
        """What changed of the own entries since the last time, as one change, or None.

        What came and went in between is not in it. `sequence` is greater than any taken before, in any topic.
        """
        if not self._unsent_joins and not self._unsent_leaves:
            return None
        change = Change(sequence, self._sequence, tuple(self._unsent_joins.values()), tuple(self._unsent_leaves))
        self._unsent_joins = {}
        self._unsent_leaves = {}
        self._sequence = sequence if self._own else 0
        self._last_sequence = sequence
        return change

    def announcement(self) -> Change:
        """A change that changes nothing for those who know this node's entries.

        Who does not know them notices that it missed something; where there are none any more, it takes them away.
        """
        return Change(self._last_sequence, self._sequence)

    # The other nodes' entries.

    @property
    def others(self) -> Collection[str]:
        """The other nodes that have entries here."""
        return self._others.keys()

    def receive(self, node: str, change: Change) -> Diff | None:
        """Another node's change; None if one before it is missing, and the snapshot has to be loaded."""
        known = self._known.get(node, 0)
        if change.previous == known:
            entries = dict(self._others.get(node, ()))
            for ref in change.leaves:
                entries.pop(ref, None)
        elif change.sequence <= known:
            return Diff()
        elif change.previous == 0:
            entries = {}
        else:
            return None
        entries.update((entry.ref, entry) for entry in change.joins)
        return self._replace(node, change.sequence, entries)

    def load(self, parts: Mapping[str, Part], alive: Collection[str], trusted: Collection[str] = ()) -> Loaded:
        """Take over a snapshot that was read when the changes to follow were already being received.

        Of nodes that are not `alive` nothing is taken, and what is known of them stays: whether they are gone is not
        decided here. That a node's entries are missing, or older than known, is believed of `trusted` nodes only: the
        store may just have lost them, and gets them again from their node.
        """
        joins: list[Entry] = []
        leaves: list[Entry] = []
        unconfirmed: set[str] = set()
        ignored: set[str] = set()
        for node in sorted((self._known.keys() | parts.keys()) - {self.node}):
            part = parts.get(node, Part(0, ()))
            known = self._known.get(node, 0)
            if node not in alive:
                if node in parts:
                    ignored.add(node)
                if known:
                    unconfirmed.add(node)
            elif part.sequence < known and node not in trusted:
                unconfirmed.add(node)
            else:
                diff = self._replace(node, part.sequence, {entry.ref: entry for entry in part.entries})
                joins += diff.joins
                leaves += diff.leaves
        return Loaded(Diff(tuple(joins), tuple(leaves)), frozenset(unconfirmed), frozenset(ignored))

    def drop(self, node: str) -> Diff:
        """The node is dead, and its entries with it."""
        return self._replace(node, 0, {})

    def forget_others(self) -> None:
        """Nobody here wants to know of them any more."""
        self._others.clear()
        self._known.clear()

    def _replace(self, node: str, sequence: int, entries: dict[str, Entry]) -> Diff:
        before = self._others.get(node, {})
        if entries and sequence:
            self._others[node] = entries
            self._known[node] = sequence
        else:
            entries = {}
            self._others.pop(node, None)
            self._known.pop(node, None)
        joins = tuple(entry for ref, entry in entries.items() if ref not in before)
        leaves = tuple(entry for ref, entry in before.items() if ref not in entries)
        return Diff(joins, leaves)
