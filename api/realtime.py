"""Publishes the API's events to the gateways and their clients: always after the commit, and without waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from api.schemas.answers import Reply
from shared.domain.users import Role
from shared.events import control, topics
from shared.events.envelope import Envelope, json_payload, pack
from shared.events.listings import LISTING_UPDATED, LOOK_AGAIN, listing_id_payload
from shared.events.replies import REPLY_CREATED
from shared.logs import log_of
from shared.membership import Membership
from shared.pubsub.broker import Broker
from shared.settings import Settings

log = log_of(__name__)


class Realtime:
    """Publishes through the broker, as a node that has no clients of its own. It is the broker's receiver too."""

    def __init__(self, broker: Broker, node_id: str) -> None:
        self._broker = broker
        self._node_id = node_id
        self.published = 0
        """The number of broadcasts."""

    def membership(self, settings: Settings) -> Membership:
        """The membership of this process, by which gateways learn that they may have missed its broadcasts."""
        return Membership(settings, self._node_id, self._broker, published=lambda: self.published)

    def reply_created(self, listing_id: int, reply: Reply) -> None:
        """Tell the viewers of the listing of a reply; the payload is the reply as REST shows it."""
        self.broadcast([topics.listing(listing_id)], REPLY_CREATED, reply)

    def look_again(self, listing_id: int) -> None:
        """Have the gateways check again who may see the listing."""
        self.broadcast([topics.listing(listing_id)], LOOK_AGAIN, listing_id_payload(listing_id))

    def listing_updated(self, listing_id: int, json: str | None) -> None:
        """Send the listing's viewers its JSON for visitors, or only its id if visitors may not see it."""
        payload = listing_id_payload(listing_id) if json is None else msgspec.Raw(json.encode())
        self.broadcast([topics.listing(listing_id)], LISTING_UPDATED, payload)

    def category_changed(self, category_id: int) -> None:
        """Have the gateways check again who may see the category's listings."""
        self.broadcast([control.CONTROL], control.CATEGORY_CHANGED, control.category_changed(category_id))

    def seller_changed(self, user_id: int) -> None:
        """Have the gateways check again who may see the seller's listings."""
        self.broadcast([control.CONTROL], control.SELLER_CHANGED, control.seller_changed(user_id))

    def disconnect(self, user_id: int, session_id: str | None = None) -> None:
        """Close a user's sockets, or those of one session, on every gateway."""
        self.broadcast([control.CONTROL], control.DISCONNECT, control.disconnect(user_id, session_id))

    def role_changed(self, user_id: int, role: Role) -> None:
        self.broadcast([control.CONTROL], control.ROLE_CHANGED, control.role_changed(user_id, role))

    # From the broker

    def receive(self, topic: str, data: bytes) -> None:
        """The API subscribes to nothing."""

    def link_restored(self, away_seconds: float) -> None:
        """The API has missed nothing: it subscribes to nothing."""

    def messages_lost(self, seconds: float) -> None:
        """Gateways may have missed this process's broadcasts: tell them to read Postgres."""
        self.broadcast([control.CONTROL], control.CATCH_UP, control.catch_up(seconds))

    def broadcast(self, to_topics: Sequence[str], event: str, payload: Any) -> None:
        """Publish an event on topics, encoded once. A failure is logged: the change is committed, and is caught up."""
        try:
            data = pack(Envelope(self._node_id, event, json_payload(payload)))
            self.published += 1
            for topic in to_topics:
                self._broker.publish(topic, data)
        except Exception:
            log.exception("broadcast failed", event_name=event)
