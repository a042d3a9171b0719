"""Conversations: private messages by the other user, what is unread, and reading it."""

from __future__ import annotations

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.private_chat import happen
from api.schemas import answers
from api.schemas.messages import ReadBody
from api.schemas.pages import PageQuery
from shared.domain.ids import MAX_ID
from shared.events.messages import Message, message_payload
from shared.private_chat import Read


async def find(call: Call) -> Page[answers.Conversation]:
    """Conversations, the latest first."""
    query = call.query(PageQuery)
    found = await call.services.messages.conversations(
        call.user.user_id, before_id=decode_cursor(query.cursor, int) or MAX_ID, limit=query.limit + 1
    )
    return page(found, query.limit, answers.conversation, lambda one: one.last_message.id)


async def messages(call: Call) -> Page[Message]:
    """Messages with a user, newest first."""
    other_id = call.path_id("user_id")
    await call.services.users.require_existed(other_id)
    query = call.query(PageQuery)
    found = await call.services.messages.conversation(
        call.user.user_id, other_id, before_id=decode_cursor(query.cursor, int) or MAX_ID, limit=query.limit + 1
    )
    return page(found, query.limit, message_payload, lambda message: message.id)


async def mark_read(call: Call) -> None:
    """Mark what this user wrote as read, up to a message."""
    other_id = call.path_id("user_id")
    await call.services.users.require_existed(other_id)
    body = await call.body(ReadBody)
    await happen(call, Read(with_=other_id, up_to=body.up_to))
