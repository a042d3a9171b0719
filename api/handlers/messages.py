"""Private messages by REST: sends as the socket does, and reads after an id to catch up."""

from __future__ import annotations

from aiohttp import web

from api.answers import json_answer
from api.call import Call
from api.pagination import decode_cursor, encode_cursor
from api.problems import Invalid
from api.schemas.messages import MessagesQuery
from shared.domain.messages import FIELDS, InvalidMessage, UnknownRecipient, parse_send
from shared.events.messages import message_payload


async def send(call: Call) -> web.Response:
    body = await call.json_object()
    errors = {name: ["Unknown field."] for name in body.keys() - FIELDS}
    try:
        new = parse_send(call.user.user_id, body)
        if errors:
            raise Invalid(errors)
        message = await call.services.message_writer.send(new)
    except InvalidMessage as error:
        raise Invalid({**errors, **error.errors}) from None
    except UnknownRecipient:
        raise Invalid({**errors, "to": ["User not found."]}) from None
    call.services.realtime.message_sent(message)
    return json_answer(message_payload(message), 201)


async def after(call: Call) -> web.Response:
    query = call.query(MessagesQuery)
    user_id, limit = call.user.user_id, query.limit
    next_id = decode_cursor(query.cursor, int)
    if next_id is None:
        overlap_seconds = call.services.settings.catch_up_overlap_seconds
        messages, complete = await call.services.messages.catch_up(
            user_id, query.after_id, limit=limit, overlap_seconds=overlap_seconds
        )
    else:
        messages = await call.services.messages.after(user_id, next_id, limit + 1)
        messages, complete = messages[:limit], len(messages) <= limit
    cursor = None if complete else encode_cursor(messages[-1].id)
    return json_answer({"data": [message_payload(message) for message in messages], "next_cursor": cursor})
