"""Makes moderators read their queue again when events between nodes may have been lost."""

from __future__ import annotations

from gateway.runtime.broadcast import Broadcast
from gateway.runtime.endpoint import Endpoint
from shared.events.moderation import LOOK_AGAIN
from shared.events.topics import MODERATION


def read_queue_again(endpoint: Endpoint) -> None:
    """From now on, tell the members of `moderation` on this node after each gap."""

    def gap(_seconds: float) -> None:
        endpoint.deliver(Broadcast.of(MODERATION, LOOK_AGAIN, {}))

    endpoint.on_gap(gap)
