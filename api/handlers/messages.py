"""Private messages by REST: sent as by the socket, and read to catch up."""

from __future__ import annotations

from aiohttp import web

from api.answers import json_answer
from api.call import Call
from api.pagination import decode_cursor, page
from api.problems import BlockedByRecipient, Invalid
from shared.domain.messages import FIELDS, Blocked, InvalidMessage, UnknownRecipient, parse_send
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
    except Blocked:
        raise BlockedByRecipient from None
    call.services.realtime.message_sent(message)
    return json_answer(message_payload(message), 201)


async def after(call: Call) -> web.Response:
    query = call.query()
    after_id = decode_cursor(query["cursor"], int)
    if after_id is None:
        after_id = query["after_id"]
    messages = await call.services.messages.after(call.user.user_id, after_id, query["limit"] + 1)
    return json_answer(page(messages, query["limit"], message_payload, lambda message: message.id))
