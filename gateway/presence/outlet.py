"""Where presence speaks: the events, what is to carry them, and the order in which local members hear of changes."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from gateway.presence.state import Change, Diff
from gateway.presence.wire import pack_change

PRESENCE_STATE = "presence_state"
"""What a channel pushes to its client after the join: `tracker.list(topic)`."""
PRESENCE_DIFF = "presence_diff"
"""What local members are sent, with a diff; and what nodes send each other, with a change that `receive` reads."""


class Outlet(Protocol):
    """Where a tracker's words go: the endpoint."""

    def broadcast_local(self, topic: str, event: str, payload: dict[str, Any]) -> None:
        """To the members on this node, queued for each before this returns. Must not raise."""

    def publish(self, topic: str, event: str, payload: bytes) -> None:
        """To the other nodes that subscribe to the topic, in this order; never waits. Their trackers `receive` it."""


class Audience:
    """Tells local members of diffs, and the other nodes of changes, through the outlet."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._diffs: deque[tuple[str, Diff]] = deque()

    def tell_members(self, topic: str, diff: Diff) -> None:
        """One diff after the other: what a channel changes on hearing of one comes behind it."""
        if not diff:
            return
        self._diffs.append((topic, diff))
        if len(self._diffs) > 1:
            return
        try:
            while self._diffs:
                topic, diff = self._diffs[0]
                self._outlet.broadcast_local(topic, PRESENCE_DIFF, diff.payload())
                self._diffs.popleft()
        except BaseException:
            self._diffs.clear()
            raise

    def tell_nodes(self, topic: str, change: Change) -> None:
        self._outlet.publish(topic, PRESENCE_DIFF, pack_change(change))
