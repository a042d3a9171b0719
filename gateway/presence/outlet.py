"""Sends presence to clients on this node and to other nodes, in the right order.

Every viewer gets every diff, so a client that comes and goes would each time cause a frame for every viewer. Therefore
the diffs of one topic in a second are limited; past the limit they are collected, and sent as one.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from functools import partial
from typing import Any, Protocol

from gateway.presence.state import Change, Diff
from gateway.presence.wire import pack_change
from shared.buckets import Buckets
from shared.token_bucket import TokenBucket

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

    def __init__(self, outlet: Outlet, limit: tuple[float, float] | None = None) -> None:
        """`limit` is how many diffs of a topic are sent: a second in the long run, and at once; None for any number."""
        self._outlet = outlet
        self._limit = limit
        self._buckets: Buckets[str, TokenBucket] = Buckets(partial(TokenBucket, *(limit or (math.inf, math.inf))))
        self._diffs: deque[tuple[str, Diff]] = deque()
        self._collected: dict[str, Diff] = {}
        """Diffs that wait, by topic."""

    def tell_members(self, topic: str, diff: Diff) -> None:
        """Send a diff to local members, at once if the topic's limit allows it, else collected with later ones."""
        if not diff:
            return
        if self._limit is None:
            self._send(topic, diff)
        elif topic in self._collected:
            self._collected[topic] = _merged(self._collected[topic], diff)
        elif self._buckets.of(topic).take():
            self._send(topic, diff)
        else:
            self._collected[topic] = diff
            asyncio.get_running_loop().call_later(1 / self._limit[0], self._send_collected, topic)

    def _send_collected(self, topic: str) -> None:
        # By now the bucket has gained a token, and this diff uses it.
        self._buckets.of(topic).take()
        self._send(topic, self._collected.pop(topic))

    def _send(self, topic: str, diff: Diff) -> None:
        """Send a diff now. A diff caused while another is being sent is queued behind it."""
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


def _merged(first: Diff, second: Diff) -> Diff:
    """Returns one diff with the effect of both.

    An entry that came and went stays among the leaves: a client may have got it in between, in its `presence_state`.
    """
    joins = {entry.ref: entry for entry in first.joins}
    joins.update((entry.ref, entry) for entry in second.joins)
    for entry in second.leaves:
        joins.pop(entry.ref, None)
    return Diff(tuple(joins.values()), (*first.leaves, *second.leaves))
