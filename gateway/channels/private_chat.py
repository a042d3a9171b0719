"""`private_chat:{user_id}`: a user's own messages on all devices, and what the user sends to others.

A message is stored, then broadcast on the recipient's and the sender's topics, then answered.
"""

from __future__ import annotations

from typing import Any

from gateway.channel import Error, HandleResult, JoinResult, Ok
from gateway.channels.authenticated import TOO_MANY_REQUESTS, TRY_AGAIN, AuthenticatedChannel
from shared.domain.ids import parse_id
from shared.domain.messages import InvalidMessage, MessageRefused, UnknownRecipient, parse_read, parse_send
from shared.events import topics
from shared.events.messages import READ, SEND, TYPING, message_payload, read_payload, typing_payload
from shared.postgres import DatabaseUnavailable

CATCH_UP_LIMIT = 200
"""The most messages in the answer to a join."""

USER_NOT_FOUND = Error({"reason": "user not found"})
UNAUTHORIZED = Error({"reason": "unauthorized"})


class PrivateChat(AuthenticatedChannel):
    """Join: only with the user's own id. Pushes and broadcasts: `send`, `read`, `typing`."""

    async def join(self, topic: str, params: Any) -> JoinResult:
        user_id = topics.user_of(topic)
        if user_id is None:
            return USER_NOT_FOUND
        try:
            if user_id != self.actor.user_id:
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
        overlap_seconds = self.context.settings.catch_up_overlap_seconds
        messages, complete = await self.context.messages.catch_up(
            user_id, after_id, limit=CATCH_UP_LIMIT, overlap_seconds=overlap_seconds
        )
        return Ok({"messages": [message_payload(message) for message in messages], "complete": complete})

    async def handle_in(self, event: str, payload: Any) -> HandleResult:
        handler = _HANDLERS.get(event) if isinstance(event, str) else None
        if handler is None:
            return await super().handle_in(event, payload)
        budgets = self.context.budgets
        if budgets is not None and not budgets[event].take(self.actor.user_id):
            return TOO_MANY_REQUESTS
        try:
            return await handler(self, payload)
        except InvalidMessage as invalid:
            return Error({"reason": invalid.reason, "errors": invalid.errors})
        except MessageRefused as refused:
            return Error({"reason": refused.reason})
        except DatabaseUnavailable:
            return TRY_AGAIN

    async def _send(self, payload: Any) -> HandleResult:
        new = parse_send(self.actor.user_id, payload)
        message = await self.context.message_writer.send(new)
        # The message is committed. A failure from here on loses nothing: clients that miss the broadcast catch up.
        sent = message_payload(message)
        self.broadcast_to_all(topics.private_chats(message.to_id, message.from_id), SEND, sent)
        return Ok({"id": sent["id"], "inserted_at": sent["inserted_at"]})

    async def _read(self, payload: Any) -> HandleResult:
        other_id, asked = parse_read(payload)
        user_id = self.actor.user_id
        up_to = await self.context.messages.mark_read(user_id, other_id, asked)
        if up_to is None:
            return Ok()
        self.broadcast_to_all(topics.private_chats(other_id, user_id), READ, read_payload(user_id, other_id, up_to))
        return Ok()

    async def _typing(self, payload: Any) -> HandleResult:
        to_id = parse_id(payload.get("to")) if isinstance(payload, dict) else None
        if to_id is None:
            raise UnknownRecipient
        user_id = self.actor.user_id
        if not await self.context.blocks.is_blocked(user_id, by=to_id):
            self.broadcast_to(topics.private_chat(to_id), TYPING, typing_payload(user_id, to_id))
        return Ok()


_HANDLERS = {SEND: PrivateChat._send, READ: PrivateChat._read, TYPING: PrivateChat._typing}
