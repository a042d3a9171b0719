"""Announces a change of a listing without leaking the listing to viewers who have just lost access.

It first asks the gateways to check again who may see the listing. It publishes the new content only if anyone may see
it. Otherwise it publishes only the id, and clients that may still see the listing read it again.

Call these functions after the commit; a failure here does not undo the change.
"""

from __future__ import annotations

from api.services import Services
from shared.access.actor import Actor
from shared.domain.listings import ListingNotFound
from shared.postgres import DatabaseUnavailable


async def announce(services: Services, listing_id: int) -> None:
    """Announce the change. If the database is away, only the id is published."""
    services.realtime.look_again(listing_id)
    try:
        json = await services.listings.read_for_anyone(listing_id)
    except DatabaseUnavailable:
        json = None
    services.realtime.listing_updated(listing_id, json)


async def announce_and_read(services: Services, listing_id: int, actor: Actor) -> str:
    """Announce the change. Returns the listing as JSON, as the actor sees it. One statement reads both.

    Raises ListingNotFound if the actor may not see it, or DatabaseUnavailable; the change is announced in any case.
    """
    services.realtime.look_again(listing_id)
    views = None
    try:
        views = await services.listings.views(listing_id, actor)
    finally:
        services.realtime.listing_updated(listing_id, views.for_anyone if views else None)
    if views is None:
        raise ListingNotFound
    return views.own
