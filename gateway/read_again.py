"""Makes clients read again what they show, when events between nodes may have been lost.

For moderators that is the queue, for viewers of a listing the listing and its replies. No statement is needed here: who
may no longer see a listing is removed before its viewers are told.
"""

from __future__ import annotations

from gateway.runtime.broadcast import Broadcast
from gateway.runtime.endpoint import Endpoint
from shared.events import moderation
from shared.events.listings import LISTING_UPDATED, listing_id_payload
from shared.events.topics import MODERATION, listing_of


def read_again_after_gaps(endpoint: Endpoint) -> None:
    """From now on, tell the members of `moderation` and of `listing:{id}` on this node after each gap."""

    def gap(_seconds: float) -> None:
        endpoint.deliver(Broadcast.of(MODERATION, moderation.LOOK_AGAIN, {}))
        for topic in endpoint.topics:
            listing_id = listing_of(topic)
            if listing_id is not None:
                endpoint.deliver(Broadcast.of(topic, LISTING_UPDATED, listing_id_payload(listing_id)))

    endpoint.on_gap(gap)
