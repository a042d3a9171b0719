"""Keeps a list from `presence_state` and `presence_diff` as `Presence` of phoenix.js does.

It is stricter than phoenix.js: it also fails for a join of a presence that is there already, and for a leave of a
presence that is not there. phoenix.js survives both, but passes them to its callbacks.
"""

from __future__ import annotations

import copy
from typing import Any

Presences = dict[str, dict[str, list[dict[str, Any]]]]


class PhoenixClient:
    def __init__(self, *, may_return: bool = False) -> None:
        """`may_return`: a presence may join again, because its node was wrongly taken for dead."""
        self._may_return = may_return
        self.presences: Presences | None = None
        self.joined: list[str] = []
        self.left: list[str] = []
        self._pending: list[dict[str, Presences]] = []

    def on_state(self, state: Presences) -> None:
        """Take the first state, and apply the diffs that came before it."""
        assert self.presences is None
        self.presences = copy.deepcopy(state)
        for diff in self._pending:
            self._sync(diff)
        self._pending = []

    def on_diff(self, diff: dict[str, Presences]) -> None:
        assert set(diff) == {"joins", "leaves"}
        assert diff["joins"] or diff["leaves"]
        diff = copy.deepcopy(diff)
        if self.presences is None:
            self._pending.append(diff)
            return
        for ref in refs(diff["joins"]):
            assert ref not in self.refs(), f"{ref} joined twice"
            assert self._may_return or ref not in self.left, f"{ref} came back"
            self.joined.append(ref)
        for ref in refs(diff["leaves"]):
            assert ref in self.refs(), f"{ref} left without having joined"
            self.left.append(ref)
        self._sync(diff)

    def refs(self) -> list[str]:
        assert self.presences is not None
        return refs(self.presences)

    def _sync(self, diff: dict[str, Presences]) -> None:
        assert self.presences is not None
        for key, joined in diff["joins"].items():
            current = self.presences.get(key)
            self.presences[key] = copy.deepcopy(joined)
            if current is not None:
                new = refs({key: joined})
                kept = [meta for meta in current["metas"] if meta["phx_ref"] not in new]
                self.presences[key]["metas"][:0] = kept
        for key, left in diff["leaves"].items():
            current = self.presences.get(key)
            if current is None:
                continue
            gone = refs({key: left})
            current["metas"] = [meta for meta in current["metas"] if meta["phx_ref"] not in gone]
            if not current["metas"]:
                del self.presences[key]


def refs(presences: Presences) -> list[str]:
    return [meta["phx_ref"] for presence in presences.values() for meta in presence["metas"]]


def in_order(presences: Presences | None) -> Presences:
    """The list with the metas of each key sorted by age. A client has them in the order of their arrival."""
    assert presences is not None
    return {
        key: {"metas": sorted(value["metas"], key=lambda meta: meta["phx_ref"])} for key, value in presences.items()
    }
