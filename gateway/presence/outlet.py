"""Sends presence to clients on this node and to other nodes, in the right order."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from gateway.presence.state import Change, Diff
from gateway.presence.wire import pack_change

PRESENCE_STATE = "presence_state"
"""A channel pushes it to its client after the join, with `tracker.list(topic)`."""
PRESENCE_DIFF = "presence_diff"
"""Local members get it with a diff. Other nodes get it with a change, which their tracker's `receive` reads."""


class Outlet(Protocol):
    """Carries a tracker's messages: the endpoint."""

    def broadcast_local(self, topic: str, event: str, payload: dict[str, Any]) -> None:
        """Send to the members on this node. It is queued for each of them on return. Must not raise."""

    def publish(self, topic: str, event: str, payload: bytes) -> None:
        """Send to the other nodes that subscribe to the topic, in the order of the calls. Never waits."""


class Audience:
    """Sends diffs to local members and changes to other nodes."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._diffs: deque[tuple[str, Diff]] = deque()

    def tell_members(self, topic: str, diff: Diff) -> None:
        """Send a diff to local members. A diff caused while another is being sent is queued behind it."""
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
        """Publish a change to the other nodes."""
        self._outlet.publish(topic, PRESENCE_DIFF, pack_change(change))
