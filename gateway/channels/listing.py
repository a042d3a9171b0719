"""`listing:{id}`: what happens to a listing, for those who look at it, and who else does.

Who may see a listing can change at any time. So every event of it is intercepted: behind a change, nothing more
reaches a member before it is known whether they may still see it.
"""

from __future__ import annotations

from typing import Any

from gateway.channel import Error, InfoResult, JoinResult, Notice, Ok, Stop
from gateway.channels.authenticated import TRY_AGAIN, AuthenticatedChannel
from shared.access.actor import Actor
from shared.domain.listings import ListingNotFound
from shared.domain.users import Role
from shared.events import control, topics
from shared.events.listings import LISTING_CHANGED, LISTING_REMOVED, LISTING_UPDATED, listing_id_payload
from shared.events.replies import REPLY_CREATED
from shared.postgres import DatabaseUnavailable
from shared.repositories.listing_access import SeenListing

NOT_FOUND = Error({"reason": "not found"})

_PRESENT = "present"
"""What the channel tells itself after its join."""


class Listing(AuthenticatedChannel):
    """Join: whoever may see it. Pushes: `reply_created`, `listing_updated`, `listing_removed`, and presence."""

    intercepts = frozenset({LISTING_CHANGED, LISTING_UPDATED, REPLY_CREATED})
    tracks_presence = True
    watches_access = True

    async def join(self, topic: str, params: Any) -> JoinResult:
        listing_id = topics.listing_of(topic)
        if listing_id is None:
            return NOT_FOUND
        self.listing_id = listing_id
        # Subscribed first: a change that comes between the look and the subscription would go unnoticed.
        await self.subscribe()
        try:
            self.listing = await self._seen()
        except ListingNotFound:
            return NOT_FOUND
        except DatabaseUnavailable:
            return TRY_AGAIN
        self.send_info(_PRESENT)
        return Ok()

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        if event == LISTING_CHANGED:
            return await self._look_again()
        self.push(event, payload)
        return None

    async def handle_info(self, message: Any) -> InfoResult:
        match message:
            case Notice(control.CATEGORY_CHANGED, {"category_id": category_id}):
                return await self._look_again() if category_id == self.listing.category_id else None
            case Notice(control.SELLER_CHANGED, {"user_id": user_id}):
                return await self._look_again() if user_id == self.listing.seller_id else None
            case Notice():
                return await self._look_again()
        self.push("presence_state", await self.list_presence())
        await self.track(str(self.identity.user_id), {"name": self.identity.name})
        return None

    async def _look_again(self) -> InfoResult:
        try:
            self.listing = await self._seen()
        except ListingNotFound:
            self.push(LISTING_REMOVED, listing_id_payload(self.listing_id))
            return Stop()
        except DatabaseUnavailable:
            # Not known is not allowed. The client joins again, and is let in when it is known.
            return Stop("try again")
        return None

    async def _seen(self) -> SeenListing:
        """Raises ListingNotFound, DatabaseUnavailable."""
        identity = self.identity
        actor = Actor(
            identity.user_id,
            identity.session_id or "",
            Role(identity.role),
            identity.name,
            int(identity.expires_at),
        )
        return await self.context.listing_access.seen(self.listing_id, actor)
