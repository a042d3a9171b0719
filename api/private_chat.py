"""Carries out events of private chat (shared/private_chat.py) for requests, as the gateway does for pushes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from api.call import Call
from api.problems import Invalid, name_errors
from shared.domain.messages import InvalidMessage, UnknownRecipient
from shared.domain.payloads import keys_of, read, users_in
from shared.private_chat import Event, Outcome, is_limited, refuse_beginning

Posted = TypeVar("Posted", bound=Event)


async def post(call: Call, kind: type[Posted], prepare: Callable[[Posted], None] | None = None) -> Outcome:
    """Carry out the event in the body. Raises Invalid, also for unknown keys, which a push may have.

    `prepare` is called with the event before it happens.
    """
    body = await call.json_object(kind)
    known = keys_of(kind)
    errors = name_errors((key for key in body if key not in known), "Unknown field.")
    try:
        event = read(kind, body)
        if errors:
            raise Invalid(errors)
        if prepare is not None:
            prepare(event)
        return await happen(call, event)
    except InvalidMessage as error:
        raise Invalid({**errors, **error.errors}) from None
    except UnknownRecipient:
        raise Invalid({**errors, **{key: ["User not found."] for key in users_in(kind)}}) from None


async def happen(call: Call, event: Event) -> Outcome:
    """Carry out the event, and tell the gateways. Raises MessageRefused or DatabaseUnavailable."""
    if is_limited(call.user):
        await refuse_beginning(event, call.services.chats, call.user)
    outcome = await event.happen(call.services.chats, call.user.user_id)
    if outcome.topics:
        call.services.realtime.broadcast(outcome.topics, event.NAME, outcome.payload)
    for told in outcome.more:
        call.services.realtime.broadcast(*told)
    return outcome
