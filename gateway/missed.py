"""The stored events that connected clients may have missed: private messages and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from shared.domain.messages import Message
from shared.events import topics
from shared.events.alerts import ALERT_EVENTS, alert_payload
from shared.events.messages import SEND, message_payload, told_topics
from shared.repositories.alerts import Alert


class Stored(NamedTuple):
    """A stored event, as it was or should have been broadcast."""

    id: int
    topics: Sequence[str]
    event: str
    payload: Any
    """JSON that begins with the id: `{"id":12,`."""


class Missed(Protocol):
    """One kind of stored events. Ids are committed in order. Both coroutines raise DatabaseUnavailable."""

    @property
    def events(self) -> Sequence[str]:
        """The names of the events."""

    def user_of(self, topic: str) -> int | None:
        """Returns the user to whom the topic belongs; None for a topic that does not have such events."""

    async def last_id_before(self, seconds: float) -> int:
        """Returns the greatest id of an event that is older than `seconds`; 0 if there is none."""

    async def after(self, user_ids: Sequence[int], after_id: int, limit: int) -> list[Stored]:
        """Returns the events of any of the users with a greater id, oldest first."""


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
        return [Stored(one.id, told_topics(one), SEND, message_payload(one)) for one in found]


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
        return [Stored(one.id, [topics.alerts(one.user_id)], one.kind.value, alert_payload(one.json)) for one in found]
