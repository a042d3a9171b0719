"""The stored events that connected clients may have missed: private messages, their deletions, and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from shared.domain.messages import Deletion, Message
from shared.events import topics
from shared.events.alerts import ALERT_EVENTS, alert_payload
from shared.events.messages import DELETED, SEND, deleted_payload, message_payload, told_topics
from shared.repositories.alerts import Alert


class Stored(NamedTuple):
    """A stored event, as it was or should have been broadcast."""

    id: int
    topics: Sequence[str]
    event: str
    payload: Any
    """JSON that begins with the id: `{"id":12,`."""
    place: int
    """Where it stands among the stored events of its kind."""


class Missed(Protocol):
    """One kind of stored events, in the order of their places. Both coroutines raise DatabaseUnavailable.

    Nothing that a gap has to bring is committed below a place that was read already.
    """

    @property
    def events(self) -> Sequence[str]:
        """The names of the events."""

    def user_of(self, topic: str) -> int | None:
        """Returns the user to whom the topic belongs; None for a topic that does not have such events."""

    async def last_id_before(self, seconds: float) -> int:
        """Returns the last place of an event that is older than `seconds`; 0 if there is none."""

    async def after(self, user_ids: Sequence[int], after_id: int, limit: int) -> list[Stored]:
        """Returns the events of any of the users behind this place, oldest first."""


class Messages(Protocol):
    """The part of `MessageRepository` that is needed."""

    async def last_id_before(self, seconds: float) -> int: ...

    async def of_users_after(self, user_ids: Sequence[int], after_id: int, limit: int) -> list[Message]: ...


class MissedMessages:
    """Private messages, on the topics of both sides."""

    events = (SEND,)

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self.last_id_before = messages.last_id_before

    def user_of(self, topic: str) -> int | None:
        return topics.user_of(topic)

    async def after(self, user_ids: Sequence[int], after_id: int, limit: int) -> list[Stored]:
        found = await self._messages.of_users_after(user_ids, after_id, limit)
        return [Stored(one.id, told_topics(one), SEND, message_payload(one), one.id) for one in found]


class Deletions(Protocol):
    """The part of `MessageRepository` that is needed for deleted messages."""

    async def last_deletion_before(self, seconds: float) -> int: ...

    async def deletions_after(self, user_ids: Sequence[int], number: int, limit: int) -> list[Deletion]: ...


class MissedDeletions:
    """Deletions of private messages, on the topics of those who had the message.

    Their numbers are not committed in order. A deletion that is committed while a gap is read is broadcast by then.
    """

    events = (DELETED,)

    def __init__(self, deletions: Deletions) -> None:
        self._deletions = deletions
        self.last_id_before = deletions.last_deletion_before

    def user_of(self, topic: str) -> int | None:
        return topics.user_of(topic)

    async def after(self, user_ids: Sequence[int], after_id: int, limit: int) -> list[Stored]:
        found = await self._deletions.deletions_after(user_ids, after_id, limit)
        return [
            Stored(
                one.message_id,
                topics.told_of_deletion(one.from_id, one.to_id),
                DELETED,
                deleted_payload(one),
                one.number,
            )
            for one in found
        ]


class Alerts(Protocol):
    """The part of `AlertRepository` that is needed."""

    async def last_id_before(self, seconds: float) -> int: ...

    async def of_users_after(self, user_ids: Sequence[int], after_id: int, limit: int) -> list[Alert]: ...


class MissedAlerts:
    """Alerts, on the topic of the person who is told."""

    events = ALERT_EVENTS

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self.last_id_before = alerts.last_id_before

    def user_of(self, topic: str) -> int | None:
        return topics.user_of_alerts(topic)

    async def after(self, user_ids: Sequence[int], after_id: int, limit: int) -> list[Stored]:
        found = await self._alerts.of_users_after(user_ids, after_id, limit)
        return [
            Stored(one.id, [topics.alerts(one.user_id)], one.kind.value, alert_payload(one.json), one.id)
            for one in found
        ]
