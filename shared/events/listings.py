"""What those who look at a listing are told of it, and what gateways are told so that they look again at who may. Pure.

A change is published as LOOK_AGAIN first, then as LISTING_UPDATED, both on the listing's topic.
"""

from __future__ import annotations

from typing import Any

LISTING_UPDATED = "listing_updated"
"""For clients: the listing as visitors see it, or `{"id"}` alone where they do not: who still may reads it anew."""
LISTING_REMOVED = "listing_removed"
"""For clients, from their gateway: they may no longer see it; the channel closes."""
LOOK_AGAIN = "look_again"
"""For gateways, never pushed: look again at who of those who joined may see it. The payload is `{"id"}`."""


def listing_id_payload(listing_id: int) -> dict[str, Any]:
    """The payload of LOOK_AGAIN and LISTING_REMOVED, and of a LISTING_UPDATED that tells no more."""
    return {"id": listing_id}
