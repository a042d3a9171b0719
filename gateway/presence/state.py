"""Presence in one topic as one node knows it: who is present, and the diffs that changes make. No I/O, no clock.

Every entry has its own `phx_ref`, which is never used twice, and belongs to the node that may change it. A node tells
the others about its entries in a topic by a chain of changes. Each change has a sequence and the sequence of the
previous change. So a receiver knows whether it has missed a change, has it already, or can apply it. A chain begins
with `previous` 0 when the node has no entry in the topic, and ends when it has none left.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from itertools import chain, islice
from typing import Any, NamedTuple

Meta = dict[str, Any]
Grouped = dict[str, dict[str, list[Meta]]]
"""`{key: {"metas": [...]}}`"""


class Entry(NamedTuple):
    """One presence: its key and its meta. The meta has `phx_ref`, and after an update `phx_ref_prev`."""

    key: str
    meta: Meta

    @property
    def ref(self) -> str:
        return str(self.meta["phx_ref"])


class Diff(NamedTuple):
    """What changed in the list, for a client's `presence_diff`. False if nothing changed."""

    joins: tuple[Entry, ...] = ()
    leaves: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.joins or self.leaves)

    def payload(self) -> dict[str, Grouped]:
        """Returns `{"joins": {key: {"metas": [...]}}, "leaves": {...}}`; both keys are always present."""
        return {"joins": grouped(self.joins), "leaves": grouped(self.leaves)}


class Change(NamedTuple):
    """One link of a node's chain. `leaves` has only refs: a receiver that can apply the change has these entries."""

    sequence: int
    previous: int
    joins: tuple[Entry, ...] = ()
    leaves: tuple[str, ...] = ()


class Part(NamedTuple):
    """All entries of one node in a topic, as of the change with this sequence."""

    sequence: int
    entries: tuple[Entry, ...]


class Loaded(NamedTuple):
    """The result of loading a stored snapshot."""

    diff: Diff
    unconfirmed: frozenset[str]
    """Nodes whose entries were kept although the snapshot lacks them or has older ones."""
    ignored: frozenset[str]
    """Nodes whose entries in the snapshot were ignored, because the node is not alive."""


def grouped(entries: Iterable[Entry]) -> Grouped:
    """Returns `{key: {"metas": [...]}}`. Metas are sorted by phx_ref, oldest first; keys by their oldest meta."""
    groups: Grouped = {}
    for entry in sorted(entries, key=lambda entry: entry.ref):
        group = groups.get(entry.key)
        if group is None:
            group = groups[entry.key] = {"metas": []}
        group["metas"].append(entry.meta)
    return groups


def _entry(key: str, meta: Mapping[str, Any], refs: Meta) -> Entry:
    # The refs come first, as in Phoenix's frames, and replace fields with the same name in the meta.
    return Entry(key, {**refs, **meta, **refs})


class TopicState:
    """The entries of all nodes in one topic. `node` is the node that keeps this state.

    Methods that change it return the diff for clients: exactly the change of `list()`. A client that got `list()` and
    then every later diff, in order, has the same list. Earlier diffs that reach it first do no harm.
    """

    def __init__(self, node: str) -> None:
        self.node = node
        self._own: dict[str, Entry] = {}
        self._sequence = 0
        self._last_sequence = 0
        self._unsent_joins: dict[str, Entry] = {}
        self._unsent_leaves: dict[str, Entry] = {}
        # A node is in both of these dicts or in neither. Its sequence is never 0, and it has at least one entry.
        self._others: dict[str, dict[str, Entry]] = {}
        self._known: dict[str, int] = {}

    def list(self, most: int = sys.maxsize) -> Grouped:
        """Returns `{key: {"metas": [...]}}`, the payload of `presence_state`. Do not change the shared metas.

        If there are more than `most` entries, it has only so many: first this node's, from the oldest on.
        """
        entries = chain(self._own.values(), *(others.values() for others in self._others.values()))
        return grouped(islice(entries, most))

    # The node's own entries.

    def track(self, key: str, ref: str, meta: Mapping[str, Any]) -> Diff:
        """Add an entry. `ref` must never have been used before."""
        return Diff(joins=(self._join(_entry(key, meta, {"phx_ref": ref})),))

    def update(self, ref: str, new_ref: str, meta: Mapping[str, Any]) -> Diff:
        """Replace this node's entry `ref` by `new_ref` with another meta, in one diff. Raises KeyError if it is
        missing."""
        left = self._leave(ref)
        joined = self._join(_entry(left.key, meta, {"phx_ref": new_ref, "phx_ref_prev": ref}))
        return Diff(joins=(joined,), leaves=(left,))

    def untrack(self, ref: str) -> Diff:
        """Remove this node's entry `ref`. Raises KeyError if it is missing."""
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
        """The sequence of the last change taken; 0 if the node had no entries after it."""
        return self._sequence

    @property
    def has_own(self) -> bool:
        """True if other nodes know entries of this node, or will soon."""
        return bool(self._own or self._sequence or self._unsent_leaves)

    def own_part(self) -> Part:
        """Returns this node's entries as of the last change taken.

        Leaves out entries that are in no change yet: such an entry may end before it is in a change, and a node that
        had loaded it would keep it.
        """
        announced = {ref: entry for ref, entry in self._own.items() if ref not in self._unsent_joins}
        return Part(self._sequence, (*announced.values(), *self._unsent_leaves.values()))

    def take_change(self, sequence: int) -> Change | None:
        """Returns the changes of this node's entries since the last call as one change; None if there are none.

        Leaves out entries that came and went in between. `sequence` must be greater than all earlier ones, in any
        topic.
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
        """Returns a change that changes nothing for nodes that are up to date with this node's entries.

        Any other node notices that it has missed something. If this node has no entries left, the other node removes
        them.
        """
        return Change(self._last_sequence, self._sequence)

    # The other nodes' entries.

    @property
    def others(self) -> Collection[str]:
        """The other nodes that have entries here."""
        return self._others.keys()

    def receive(self, node: str, change: Change) -> Diff | None:
        """Apply another node's change. Returns None if an earlier one was missed: the snapshot must then be loaded."""
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
        """Replace the other nodes' entries by a snapshot. Changes must have been received since before it was read.

        Ignores nodes that are not `alive`, and keeps their known entries: whether they are dead is decided elsewhere.
        If a node's entries are missing in the snapshot, or older than the known ones, they are replaced only for
        `trusted` nodes. For other nodes the store may have lost them, and the node will store them again.
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
        """Remove the entries of a dead node."""
        return self._replace(node, 0, {})

    def forget_others(self) -> None:
        """Forget the other nodes' entries, without a diff, because no local member is left."""
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
