"""Facts about a seller, for whoever sees one of their listings."""

from __future__ import annotations

from api.call import Call
from api.schemas.answers import sellers as answers
from api.services import Services
from shared.domain.users import UserNotFound


async def read(call: Call) -> answers.Seller:
    """What may be known of a seller.

    Visitors learn it only of people of whom they see a listing.
    """
    if call.actor is not None:
        call.services.rate_limits.profile(call.actor.user_id)
    user_id = call.path_id()
    found = await facts(call.services, user_id)
    if call.actor is None and not found.listing_count:
        raise UserNotFound
    call.query()
    return found


async def facts(services: Services, user_id: int) -> answers.Seller:
    """Returns the facts about a user. Raises UserNotFound."""
    seller = await services.sellers.read(user_id)
    return answers.seller(seller, confirms_addresses=services.settings.confirms_addresses)
