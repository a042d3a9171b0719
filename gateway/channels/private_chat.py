"""`private_chat:{user_id}`: a user's private chats on all devices, and what the user does in them.

shared/private_chat.py declares the events. Each event is broadcast on its topics, then answered.
"""

from __future__ import annotations

from typing import Any

from gateway.channel import Error, HandleResult, JoinResult, Ok
from gateway.channels.authenticated import TRY_AGAIN, AuthenticatedChannel
from shared.domain.ids import parse_id
from shared.domain.messages import InvalidMessage, MessageRefused
from shared.domain.payloads import read
from shared.events import topics
from shared.events.messages import message_payload
from shared.postgres import DatabaseUnavailable
from shared.private_chat import EVENTS
from shared.security_events import SecurityEvent

CATCH_UP_LIMIT = 200
"""The most messages in the answer to a join."""

USER_NOT_FOUND = Error({"reason": "user not found"})
UNAUTHORIZED = Error({"reason": "unauthorized"})


class PrivateChat(AuthenticatedChannel):
    """Join: only with the user's own id. Pushes and broadcasts: the events of shared/private_chat.py."""

    async def join(self, topic: str, params: Any) -> JoinResult:
        user_id = topics.user_of(topic)
        if user_id is None:
            return USER_NOT_FOUND
        try:
            if user_id != self.actor.user_id:
                self.tell(SecurityEvent.ACCESS_REFUSED, topic=topic)
                exists = await self.context.admission.is_registered(user_id)
                return UNAUTHORIZED if exists else USER_NOT_FOUND
            if not isinstance(params, dict) or params.get("after_id") is None:
                return Ok()
            return await self._catch_up(user_id, params["after_id"])
        except DatabaseUnavailable:
            return TRY_AGAIN

    async def _catch_up(self, user_id: int, raw_id: Any) -> JoinResult:
        # The number 0 in any spelling, but not `false`, which equals 0 in Python.
        after_id = 0 if raw_id in (0, "0") and raw_id is not False else parse_id(raw_id)
        if after_id is None:
            return Error({"reason": "invalid after_id"})
        # Subscribe before reading: a message that is stored in between then arrives as a broadcast, after this answer.
        await self.subscribe()
        found = await self.context.catch_ups.get((user_id, after_id))
        assert found is not None
        return Ok({"messages": [message_payload(message) for message in found.messages], "complete": found.is_complete})

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        kind = EVENTS.get(event) if isinstance(event, str) else None
        if kind is None:
            return await super().handle_in(event, payload)
        context, user_id = self.context, self.actor.user_id
        budgets = context.budgets
        if budgets is not None and not budgets[event].take(user_id):
            return self.limited(event)
        try:
            outcome = await read(kind, payload).happen(context.chats, user_id)
        except InvalidMessage as invalid:
            return Error({"reason": invalid.reason, "errors": invalid.errors})
        except MessageRefused as refused:
            return Error({"reason": refused.reason})
        except DatabaseUnavailable:
            return TRY_AGAIN
        if outcome.topics:
            self.broadcast_to_all(outcome.topics, event, outcome.payload)
        return Ok(outcome.answer or {})
