"""Listings: search, read, create, change, hide, and move to the trash."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

from api import sanctioning
from api.answers import Json
from api.call import Call
from api.front_page import BEGINNING, FrontPage, listing_page, read_front_page_of
from api.listing_changes import announce, announce_and_read
from api.pagination import decode_cursor
from api.problems import Forbidden, Invalid, NotFound, Unauthorized
from api.repeats import once
from api.schemas.answers import listings as answers
from api.schemas.listings import HideBody, ListingBody, ListingChangeBody, ListingsQuery
from api.services import Services
from api.versions import as_seen
from shared.access.actor import Actor
from shared.access.addresses import counted_as
from shared.access.policy import Action, may
from shared.client_address import address_of
from shared.domain.listings import CategoryNotFound, ListingFilter, Sort
from shared.domain.sanctions import SanctionKind
from shared.repositories.listing_ways import Position
from shared.repositories.listings import NewAccountLimit
from shared.repositories.visibility import Viewer

UNKNOWN_CATEGORY = {"category_id": ["No such category."]}


async def find(call: Call) -> Json[answers.FoundListings]:
    """Find listings."""
    return Json(await found_by(call, _asked(call)))


async def found_by(call: Call, query: ListingsQuery) -> bytes:
    """Returns the page of listings, as JSON, that the query asks for."""
    limit, sort, filter = query.limit, query.order, query.filter
    after = _position(query.cursor, sort)
    if sort is Sort.NEWEST and filter.is_plain:
        asked = FrontPage(after or BEGINNING, limit)
        if call.actor is not None:
            return await read_front_page_of(call.services.listings, call.actor, asked)
        # All visitors see the same, so concurrent requests share one read.
        front_page = await call.services.front_pages.get(asked)
        assert front_page is not None
        return front_page
    viewer, search = Viewer.of(call.actor), call.services.listing_search
    async with place_for_search(call):
        found = await search.find(filter, sort, viewer, after=after, limit=limit + 1)
    positions = found.positions
    ids = [position.id for position in positions[:limit]]
    distances: dict[int, int] = {}
    if sort is Sort.NEAREST:
        distances = {position.id: position.key for position in positions}
    elif filter.near is not None and ids:
        distances = await search.distances(ids, filter.near)
    shown = await call.services.listings.read_many(ids, call.actor, metres=distances)
    last = positions[limit - 1] if len(positions) > limit else None
    return listing_page(shown, sort, last, found.correction_of(limit))


async def facets(call: Call) -> answers.Facets:
    """Count the listings of a search for each make, fuel and so on.

    The parameters are those of the list. A facet's own filter does not narrow its own counts. `at_least` is true if the
    search has so many listings that not all of them were counted.
    """
    query = _asked(call)
    async with place_for_search(call):
        return answers.facets(await call.services.listing_facets.count(query.filter, Viewer.of(call.actor)))


def _asked(call: Call) -> ListingsQuery:
    """Returns the search. Raises Unauthorized or Forbidden if the actor may not search like that."""
    query = call.query(ListingsQuery)
    require_for_hidden(call, query.filter)
    if query.vin is not None and call.actor is None:
        raise Unauthorized
    return query


def place_for_search(call: Call) -> AbstractAsyncContextManager[None]:
    """Count the search, and wait for a place for it."""
    call.services.rate_limits.search(call.request)
    address = counted_as(address_of(call.request, call.services.settings.trusted_proxies))
    return call.services.search_places.place(address)


async def read(call: Call) -> Json[answers.Listing]:
    """A listing."""
    if call.actor is None:
        json = await call.services.shown_listings.get(call.path_id())
        if json is None:
            raise NotFound
    else:
        json = await _json(call, call.path_id(), call.actor)
    call.query()
    return Json(json)


async def create(call: Call) -> Json[answers.Listing]:
    """Offer a car."""
    call.require_confirmed()
    new = await call.body(ListingBody)
    settings = call.services.settings
    is_new = call.user.new_until > time.time()
    limit = NewAccountLimit(settings.new_account_listings, settings.new_account_days) if is_new else None
    try:
        async with once(call) as within:
            listings = within.services.listings
            listing_id = await listings.create(call.user.user_id, new, days=settings.listing_days, limit=limit)
            made: Json[answers.Listing] = Json(await listings.read(listing_id, call.actor))
            return await within.keep(made)
    except CategoryNotFound:
        raise Invalid(UNKNOWN_CATEGORY) from None


async def change(call: Call) -> Json[answers.Listing]:
    """Change a listing."""
    listing = await call.listing()
    call.require(Action.LISTING_EDIT, owner_id=listing.seller_id)
    change = await call.body(ListingChangeBody)
    if "visibility" in change.values:
        call.require_confirmed()
    try:
        async with as_seen(call, "listings", listing.id, lambda within: _as_shown(within, listing.id, call)) as within:
            await within.listings.change(listing.id, change, by=call.user.user_id)
    except CategoryNotFound:
        raise Invalid(UNKNOWN_CATEGORY) from None
    return Json(await announce_and_read(call.services, listing.id, call.user))


async def delete(call: Call) -> None:
    """Put a listing into the trash."""
    listing = await call.listing()
    call.require(Action.LISTING_DELETE, owner_id=listing.seller_id)
    call.query()
    async with as_seen(call, "listings", listing.id, lambda within: _as_shown(within, listing.id, call)) as within:
        await within.listings.trash(listing.id, by=call.user.user_id)
    call.services.realtime.listing_gone(listing.id)


async def renew(call: Call) -> Json[answers.Listing]:
    """Let your listing end later, and put it on top of the newest ones.

    It then ends 60 days later, also if it has ended already. This can be done once a day; before that the answer is
    409, and says from when on it can be done again. Settings change both times.
    """
    listing, settings = await call.listing(), call.services.settings
    call.require(Action.LISTING_RENEW, owner_id=listing.seller_id)
    call.require_confirmed()
    call.query()
    await call.services.listings.renew(
        listing.id, days=settings.listing_days, pause_seconds=settings.renewal_seconds, by=call.user.user_id
    )
    return Json(await announce_and_read(call.services, listing.id, call.user))


async def hide(call: Call) -> Json[answers.Listing]:
    """Hide a listing, for a time or until it is shown again. The seller is told why, and can object."""
    listing = await call.listing()
    body = await call.optional_body(HideBody)
    if body.until is not None and body.until <= datetime.now(UTC):
        raise Invalid({"until": ["Is in the past."]})
    await call.services.listings.hide(listing.id, until=body.until, reason=body.reason, by=call.user.user_id)
    shown: Json[answers.Listing] = Json(await announce_and_read(call.services, listing.id, call.user))
    hiding = await call.services.sanctions.latest(listing.seller_id, SanctionKind.HIDING, listing_id=listing.id)
    sanctioning.tell(call.services, hiding)
    return shown


async def show(call: Call) -> None:
    """Show a hidden listing again."""
    listing = await call.listing()
    call.query()
    if await call.services.listings.show(listing.id, by=call.user.user_id):
        await announce(call.services, listing.id)


def require_for_hidden(call: Call, filter: ListingFilter) -> None:
    """Raises Unauthorized or Forbidden if the filter asks about hidden listings and the actor may not."""
    if filter.hidden is not None and not may(Action.LISTING_READ_HIDDEN, call.actor, owner_id=None):
        if call.actor is None:
            raise Unauthorized
        raise Forbidden("Only moderators can search for hidden listings.")


async def _as_shown(services: Services, listing_id: int, call: Call) -> Json[answers.Listing]:
    return Json(await services.listings.read(listing_id, call.actor))


async def _json(call: Call, listing_id: int, actor: Actor | None) -> str:
    return await call.services.listings.read(listing_id, actor)


def _position(cursor: str | None, sort: Sort) -> Position | None:
    """Returns the position in the cursor. Raises Invalid, also for a cursor of another order."""
    shape = tuple[str, int, int, int] if sort is Sort.RELEVANCE else tuple[str, int, int]
    decoded: Any = decode_cursor(cursor, shape)
    if decoded is None:
        return None
    if decoded[0] != sort.value:
        raise Invalid({"cursor": ["Not a cursor of this list."]})
    return Position(*decoded[1:])
