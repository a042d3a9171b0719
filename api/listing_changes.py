"""Tells those who look at a listing that it changed, in a way that tells nothing to who may no longer see it.

First the gateways are asked to look again at who may see it. What it looks like now is told only if anyone may know
that; else whoever still may see it reads it anew.
"""

from __future__ import annotations

from api.services import Services
from shared.postgres import DatabaseUnavailable


async def announce(services: Services, listing_id: int) -> None:
    """After the commit; what goes wrong here does not undo it."""
    services.realtime.look_again(listing_id)
    try:
        json = await services.listings.read_for_anyone(listing_id)
    except DatabaseUnavailable:
        json = None
    services.realtime.listing_updated(listing_id, json)
