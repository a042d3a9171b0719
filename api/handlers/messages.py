"""Private messages by REST: sends as the socket does, and reads after an id to catch up."""

from __future__ import annotations

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, encode_cursor
from api.private_chat import post
from api.schemas.messages import MessagesQuery
from shared import private_chat
from shared.events.messages import Message, message_payload


async def send(call: Call) -> Message:
    """Send a private message, as over the socket."""
    sent: Message = (await post(call, private_chat.Send)).payload
    return sent


async def after(call: Call) -> Page[Message]:
    """Your messages, sent and received, after an id, oldest first."""
    query = call.query(MessagesQuery)
    user_id, limit = call.user.user_id, query.limit
    next_id = decode_cursor(query.cursor, int)
    if next_id is None:
        asked, overlap_seconds = (user_id, query.after_id), call.services.settings.catch_up_overlap_seconds
        found = await call.services.messages.catch_ups([asked], limit=limit, overlap_seconds=overlap_seconds)
        messages, complete = found[asked]
    else:
        messages = await call.services.messages.after(user_id, next_id, limit + 1)
        messages, complete = messages[:limit], len(messages) <= limit
    cursor = None if complete else encode_cursor(messages[-1].id)
    return Page([message_payload(message) for message in messages], cursor)
