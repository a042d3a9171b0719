"""Favourites: whoever has one is told when it becomes cheaper, is sold or is removed."""

from __future__ import annotations

from api.answers import Json, Page
from api.call import Call
from api.pagination import decode_cursor, encode_cursor
from api.schemas.answers import listings as answers
from api.schemas.pages import PageQuery
from shared.domain.ids import MAX_ID


async def add(call: Call) -> None:
    """Make a listing a favourite."""
    listing = await call.listing()
    call.query()
    await call.services.favourites.add(call.user, listing.id, seller_id=listing.seller_id)


async def remove(call: Call) -> None:
    """Take a listing from your favourites.

    Also if you may no longer see the listing, or if it is no favourite.
    """
    listing_id = call.path_id()
    call.query()
    await call.services.favourites.remove(call.user.user_id, listing_id)


async def find(call: Call) -> Json[Page[answers.Listing]]:
    """Your favourites that you may still see, the latest first."""
    query = call.query(PageQuery)
    before_id, limit = decode_cursor(query.cursor, int) or MAX_ID, query.limit
    found = await call.services.favourites.find(call.user, before_id=before_id, limit=limit + 1)
    shown = await call.services.listings.read_many([one.listing_id for one in found[:limit]], call.user)
    next_cursor = f'"{encode_cursor(found[limit - 1].id)}"' if len(found) > limit else "null"
    return Json(f'{{"data":[{",".join(shown)}],"next_cursor":{next_cursor}}}')
