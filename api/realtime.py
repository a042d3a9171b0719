"""Publishes the API's events to the gateways and their clients. Call it after the commit; it never waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from api.schemas.answers.sellers import Reply
from shared import tracing
from shared.access.seal import Seal
from shared.domain.messages import Decision, ReadShown
from shared.domain.moderation import GroupSubject
from shared.domain.sanctions import Sanction
from shared.domain.users import Role, User
from shared.events import control, topics
from shared.events.envelope import SEALED_FOR, Envelope, json_payload, pack
from shared.events.listings import LISTING_UPDATED, LOOK_AGAIN, listing_id_payload
from shared.events.messages import REQUEST, reads_shown, request_payload
from shared.events.moderation import queue_payload, sanctioned_payload
from shared.events.replies import REPLY_CREATED
from shared.logs import log_of
from shared.membership import Membership
from shared.pubsub.broker import Broker
from shared.settings import Settings

log = log_of(__name__)


class Realtime:
    """Publishes through the broker as a node without clients. It is also the broker's receiver."""

    def __init__(self, settings: Settings, broker: Broker, node_id: str) -> None:
        self._settings = settings
        self._broker = broker
        self._seal = Seal.of(settings, SEALED_FOR)
        self._node_id = node_id
        self._tracing = tracing.active()
        self.published = 0
        """The number of broadcasts so far."""

    def membership(self) -> Membership:
        """Returns this process's membership, from which gateways learn that they may have missed its broadcasts."""
        return Membership(self._settings, self._node_id, self._broker, published=lambda: self.published)

    def reply_created(self, listing_id: int, reply: Reply) -> None:
        """Send a reply to the viewers of its listing, with the payload that REST also returns."""
        self.broadcast([topics.listing(listing_id)], REPLY_CREATED, reply)

    def look_again(self, listing_id: int) -> None:
        """Make the gateways check again who may see the listing."""
        self.broadcast([topics.listing(listing_id)], LOOK_AGAIN, listing_id_payload(listing_id))

    def listing_updated(self, listing_id: int, json: str | None) -> None:
        """Send the viewers the listing's JSON for visitors, or only its id if visitors may not see it."""
        payload = listing_id_payload(listing_id) if json is None else msgspec.Raw(json.encode())
        self.broadcast([topics.listing(listing_id)], LISTING_UPDATED, payload)

    def listing_gone(self, listing_id: int) -> None:
        """Announce that the listing is in the trash, where nobody sees it, or has ended, so that few people do."""
        self.look_again(listing_id)
        self.listing_updated(listing_id, None)

    def category_changed(self, category_id: int) -> None:
        """Make the gateways check again who may see the category's listings."""
        self.broadcast([control.CONTROL], control.CATEGORY_CHANGED, control.category_changed(category_id))

    def seller_changed(self, user_id: int) -> None:
        """Make the gateways check again who may see the seller's listings."""
        self.broadcast([control.CONTROL], control.SELLER_CHANGED, control.seller_changed(user_id))

    def blocks_changed(self, user_id: int) -> None:
        """Make the gateways ask again to whom the user, who blocks or unblocks somebody, may be shown."""
        self.broadcast([control.CONTROL], control.BLOCKS_CHANGED, control.blocks_changed(user_id))

    def came_back(self, user: User) -> None:
        """Tell the gateways of the blocks that the user, whose address counts now, has taken over."""
        for blocker_id in user.blocked_anew_by:
            self.blocks_changed(blocker_id)

    def request_decided(self, user_id: int, other_id: int, decision: Decision) -> None:
        """Tell the devices of the user that they have accepted or declined what the other one writes."""
        self.broadcast([topics.private_chat(user_id)], REQUEST, request_payload(other_id, decision))

    def reads_shown(self, reads: Iterable[ReadShown]) -> None:
        """Tell those who wrote it what was read while they could not be told."""
        for told in reads_shown(reads):
            self.broadcast(*told)

    def queue_changed(self, event: str, subject: GroupSubject, person_id: int, entry_ids: Sequence[int]) -> None:
        """Tell moderators which group of their queue has changed; `event` is one of QUEUE_EVENTS."""
        self.broadcast([topics.MODERATION], event, queue_payload(subject, person_id, entry_ids))

    def sanction_changed(self, event: str, sanction: Sanction) -> None:
        """Tell moderators of a new sanction, an objection or a decision."""
        payload = sanctioned_payload(sanction.id, sanction.kind.value, sanction.user_id)
        self.broadcast([topics.MODERATION], event, payload)

    def disconnect(self, user_id: int, session_id: str | None = None, *, kept_session_id: str | None = None) -> None:
        """Close a user's sockets, only those of one session, or all but those of one, on every gateway."""
        payload = control.disconnect(user_id, session_id, kept_session_id=kept_session_id)
        self.broadcast([control.CONTROL], control.DISCONNECT, payload)

    def role_changed(self, user_id: int, role: Role) -> None:
        """Tell the gateways a user's new role."""
        self.broadcast([control.CONTROL], control.ROLE_CHANGED, control.role_changed(user_id, role))

    def standing_changed(self, user_id: int) -> None:
        """Make the gateways look up again whether the user has a warning to read."""
        self.broadcast([control.CONTROL], control.STANDING_CHANGED, control.standing_changed(user_id))

    # From the broker

    def receive(self, topic: str, data: bytes) -> None:
        """Ignored: the API subscribes to nothing."""

    def link_restored(self, away_seconds: float) -> None:
        """Ignored: the API subscribes to nothing, so it has missed nothing."""

    def messages_lost(self, seconds: float) -> None:
        """Tell the gateways to read Postgres, because they may have missed broadcasts of this process."""
        self.broadcast([control.CONTROL], control.CATCH_UP, control.catch_up(seconds))

    def broadcast(self, to_topics: Sequence[str], event: str, payload: Any) -> None:
        """Publish an event on topics, encoded once. A failure is only logged: gateways catch up from Postgres."""
        try:
            envelope = Envelope(self._node_id, event, json_payload(payload))
            if self._tracing is not None:
                envelope = envelope._replace(trace=self._tracing.publish(topics.kind_of(to_topics), event))
            data = pack(envelope)
            self.published += 1
            for topic in to_topics:
                self._broker.publish(topic, self._seal.sealed(topic, data))
        except Exception:
            log.exception("broadcast failed", event_name=event)
