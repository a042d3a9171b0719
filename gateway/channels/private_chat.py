"""`private_chat:{user_id}`: a user's private chats on all devices, and what the user does in them.

shared/private_chat.py declares the events. Each event is broadcast on its topics, then answered.
"""

from __future__ import annotations

from typing import Any

from gateway.channel import Error, HandleResult, Ok
from gateway.channels.authenticated import TRY_AGAIN
from gateway.channels.own_topic import OwnTopic
from shared.domain.messages import InvalidMessage, MessageRefused, TooManyNewPeople
from shared.domain.payloads import read
from shared.domain.times import rfc3339
from shared.events import topics
from shared.events.messages import message_payload
from shared.postgres import DatabaseUnavailable
from shared.private_chat import EVENTS, is_limited, refuse_beginning, refuse_warned


class PrivateChat(OwnTopic):
    """Join: only with the user's own id. Pushes and broadcasts: the events of shared/private_chat.py."""

    @classmethod
    def owner_of(cls, topic: str) -> int | None:
        return topics.user_of(topic)

    async def missed(self, user_id: int, after_id: int) -> dict[str, Any]:
        found = await self.context.catch_ups.get((user_id, after_id))
        assert found is not None
        answer: dict[str, Any] = {
            "messages": [message_payload(message) for message in found.messages],
            "complete": found.is_complete,
        }
        if found.deleted:
            answer["deleted"] = list(found.deleted)
        if found.has_more_deleted:
            answer["more_deleted"] = True
        return answer

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        kind = EVENTS.get(event) if isinstance(event, str) else None
        if kind is None:
            return await super().handle_in(event, payload)
        context, user_id = self.context, self.actor.user_id
        budgets = context.budgets
        if budgets is not None and not budgets[event].take(user_id):
            return self.limited(event)
        try:
            pushed = read(kind, payload)
            if self.actor.has_warning:
                await refuse_warned(pushed, context.chats, user_id)
            if is_limited(self.actor):
                await refuse_beginning(pushed, context.chats, self.actor)
            outcome = await pushed.happen(context.chats, user_id)
        except InvalidMessage as invalid:
            return Error({"reason": invalid.reason, "errors": invalid.errors})
        except TooManyNewPeople as refused:
            return Error({"reason": refused.reason, "again_at": rfc3339(refused.again_at)})
        except MessageRefused as refused:
            return Error({"reason": refused.reason})
        except DatabaseUnavailable:
            return TRY_AGAIN
        if outcome.topics:
            self.broadcast_to_all(outcome.topics, event, outcome.payload)
        for told in outcome.more:
            self.broadcast_to_all(*told)
        return Ok(outcome.answer or {})
