"""Conversations: private messages by the other user, what is unread, and reading it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from api.answers import json_answer, no_content
from api.call import Call
from api.pagination import decode_cursor, page
from shared.domain.ids import MAX_ID
from shared.domain.messages import Conversation
from shared.events.messages import message_payload


async def find(call: Call) -> web.Response:
    query = call.query()
    found = await call.services.messages.conversations(
        call.user.user_id, before_id=decode_cursor(query["cursor"], int) or MAX_ID, limit=query["limit"] + 1
    )
    return json_answer(page(found, query["limit"], _conversation, lambda one: one.last_message.id))


async def messages(call: Call) -> web.Response:
    other_id = call.path_id("user_id")
    await call.services.users.require_existed(other_id)
    query = call.query()
    found = await call.services.messages.conversation(
        call.user.user_id, other_id, before_id=decode_cursor(query["cursor"], int) or MAX_ID, limit=query["limit"] + 1
    )
    return json_answer(page(found, query["limit"], message_payload, lambda message: message.id))


async def mark_read(call: Call) -> web.Response:
    other_id, user_id = call.path_id("user_id"), call.user.user_id
    await call.services.users.require_existed(other_id)
    body = await call.body()
    up_to = await call.services.messages.mark_read(user_id, other_id, body["up_to"])
    if up_to is not None:
        call.services.realtime.messages_read(user_id, other_id, up_to)
    return no_content()


def _conversation(conversation: Conversation) -> dict[str, Any]:
    return {
        "user": {"id": conversation.user_id, "name": conversation.user_name},
        "last_message": message_payload(conversation.last_message),
        "unread_count": conversation.unread_count,
    }
