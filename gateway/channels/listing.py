"""`listing:{id}`: tells the viewers of a listing what happens to it, and who else is looking at it.

Who may see a listing can change at any time. After a change, nothing reaches a member until the node knows whether this
member may still see the listing. The node asks Postgres once for all its members of the topic.

Two kinds of viewers are not shown to the others: moderators and admins who are not the seller, and users who have
blocked somebody, because the blocked user may be looking too. Those whom they have blocked are not shown to them.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, TypeGuard

from gateway.channel import Error, InfoResult, JoinResult, Notice, Ok, Stop
from gateway.channels.authenticated import TRY_AGAIN, AuthenticatedChannel
from gateway.context import Context
from gateway.presence.outlet import PRESENCE_DIFF, PRESENCE_STATE
from shared.domain.users import Role
from shared.events import control, topics
from shared.events.listings import LISTING_REMOVED, LOOK_AGAIN, listing_id_payload
from shared.postgres import DatabaseUnavailable
from shared.repositories.listing_access import Audience

NOT_FOUND = Error({"reason": "not found"})

_PRESENT = "present"
"""The message that the channel sends to itself after its join."""
_BLOCKS_AFTER_GAP = "blocks after a gap"
"""The message that the channel sends to itself when a notice about its user's blocks may have been lost."""
SPREAD_SECONDS = 10.0
"""All viewers' blocks are read again within this time after a gap; hardly more often while gaps follow each other."""


class Listing(AuthenticatedChannel):
    """Join: anyone who may see it. Pushes: `reply_created`, `listing_updated`, `listing_removed`, and presence."""

    intercepts = looks_again_at = frozenset({LOOK_AGAIN})
    tracks_presence = True
    watches_access = True

    _is_shown = False
    _waits_to_read_blocks = False

    async def join(self, topic: str, params: Any) -> JoinResult:
        listing_id = topics.listing_of(topic)
        if listing_id is None:
            return NOT_FOUND
        # Subscribe before the look-up: a change between a look-up and a later subscription would go unnoticed.
        await self.subscribe()
        try:
            audience = await self.context.audiences.get(listing_id)
            if not self._is_among(audience):
                return NOT_FOUND
            self.listing = audience.listing
            self._set_blocked(await self.context.blocked.get(self.actor.user_id))
        except DatabaseUnavailable:
            return TRY_AGAIN
        # So the viewer counts as online (api/absence.py). It costs nothing if the same client has joined that topic.
        await self.subscribe_node(topics.private_chat(self.actor.user_id))
        self.send_info(_PRESENT)
        return Ok()

    async def handle_info(self, message: Any) -> InfoResult:
        if isinstance(message, Notice) and message.event == control.CATCH_UP:
            # A notice about blocks may have been lost.
            self._read_blocks_later()
        elif isinstance(message, Notice):
            try:
                await self._read_blocks_again()
            except DatabaseUnavailable:
                # It joins again.
                return Stop("try again")
        elif message == _BLOCKS_AFTER_GAP:
            self._waits_to_read_blocks = False
            try:
                await self._read_blocks_again()
            except DatabaseUnavailable:
                self._read_blocks_later()
        elif message == _PRESENT:
            self._tell_who_is_present()
        else:
            return await super().handle_info(message)
        return None

    def _read_blocks_later(self) -> None:
        if not self._waits_to_read_blocks:
            self._waits_to_read_blocks = True
            asyncio.get_running_loop().call_later(random.uniform(0, SPREAD_SECONDS), self.send_info, _BLOCKS_AFTER_GAP)

    async def _read_blocks_again(self) -> None:
        """Raises DatabaseUnavailable."""
        before = self._blocked
        self._set_blocked(await self.context.blocked.get(self.actor.user_id))
        if self._blocked != before:
            self._hide()
            self._tell_who_is_present()

    def _set_blocked(self, blocked: frozenset[int] | None) -> None:
        self._blocked = blocked or frozenset()
        if self._blocked:
            self.intercept(PRESENCE_DIFF)

    def _tell_who_is_present(self) -> None:
        """Show the others to the viewer, and the viewer to the others."""
        self.push(PRESENCE_STATE, self._shown(self.list_presence()))
        self._show_or_hide()

    def _show_or_hide(self) -> None:
        """Show the viewer to the others exactly while they may know."""
        if self._blocked or not self._may_be_shown:
            self._hide()
        elif not self._is_shown:
            self._is_shown = True
            self.track(str(self.actor.user_id), {"name": self.actor.name})

    def _hide(self) -> None:
        self._is_shown = False
        self.untrack(str(self.actor.user_id))

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        if event == PRESENCE_DIFF:
            payload = {change: self._shown(entries) for change, entries in payload.items()}
            if not any(payload.values()):
                return None
        return await super().handle_out(event, payload)

    def _shown(self, entries: dict[str, Any]) -> dict[str, Any]:
        """Returns the entries without those of people whom the user has blocked."""
        if not self._blocked:
            return entries
        return {key: entry for key, entry in entries.items() if int(key) not in self._blocked}

    @property
    def _may_be_shown(self) -> bool:
        return self.actor.role is Role.USER or self.actor.user_id == self.listing.seller_id

    def reads_again(self, notice: Notice) -> bool:
        if notice.event == control.BLOCKS_CHANGED:
            return bool(notice.payload["user_id"] == self.actor.user_id)
        return notice.event == control.CATCH_UP

    # Who may stay

    def concerns(self, notice: Notice) -> bool:
        match notice:
            case Notice(control.CATEGORY_CHANGED, {"category_id": category_id}):
                return bool(category_id == self.listing.category_id)
            case Notice(control.SELLER_CHANGED, {"user_id": user_id}):
                return bool(user_id == self.listing.seller_id)
            case Notice(control.BLOCKS_CHANGED):
                return False
        return True

    @classmethod
    async def look(cls, topic: str, context: Context) -> Audience | Stop | None:
        """Returns who may see the listing; None if it is gone; a Stop if Postgres is away."""
        listing_id = topics.listing_of(topic)
        assert listing_id is not None
        try:
            return await context.audiences.get(listing_id)
        except DatabaseUnavailable:
            # While it is unknown who may see the listing, nobody may. The clients join again, and get in later.
            return Stop("try again")

    def judge(self, found: Audience | None) -> InfoResult:
        if self._is_among(found):
            self.listing = found.listing
            self._show_or_hide()
            return None
        self.push(LISTING_REMOVED, listing_id_payload(self.listing.id))
        return Stop()

    def _is_among(self, audience: Audience | None) -> TypeGuard[Audience]:
        return audience is not None and audience.includes(self.actor.user_id, self.actor.role)
