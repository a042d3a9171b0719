"""Announces a change of a listing without leaking the listing to viewers who have just lost access.

It first asks the gateways to check again who may see the listing. It publishes the new content only if anyone may see
it. Otherwise it publishes only the id, and clients that may still see the listing read it again.
"""

from __future__ import annotations

from api.services import Services
from shared.postgres import DatabaseUnavailable


async def announce(services: Services, listing_id: int) -> None:
    """Announce the change. Call this after the commit; a failure here does not undo the change."""
    services.realtime.look_again(listing_id)
    try:
        json = await services.listings.read_for_anyone(listing_id)
    except DatabaseUnavailable:
        json = None
    services.realtime.listing_updated(listing_id, json)
