"""Events about a listing: for its viewers, and for gateways, which then check again who may see it. Pure.

A change is published as LOOK_AGAIN, then as LISTING_UPDATED, both on the listing's topic.
"""

from __future__ import annotations

from typing import Any

LISTING_UPDATED = "listing_updated"
"""For clients. The payload is the listing as visitors see it. If they may not see it, or if events may have been lost,
the payload is `{"id"}`, and clients read the listing and its replies again."""
LISTING_REMOVED = "listing_removed"
"""For clients, from their gateway: they may no longer see the listing, and the channel closes."""
LOOK_AGAIN = "look_again"
"""For gateways, never pushed to clients: check which of the viewers may still see the listing. Payload: `{"id"}`."""


def listing_id_payload(listing_id: int) -> dict[str, Any]:
    """Returns the payload of LOOK_AGAIN and LISTING_REMOVED, and of LISTING_UPDATED without a listing."""
    return {"id": listing_id}
