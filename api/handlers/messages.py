"""Private messages by REST: sends as the socket does, deletes, and reads after an id to catch up."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress

from api.call import Call
from api.pagination import decode_cursor, encode_cursor
from api.private_chat import post
from api.repeats import keep
from api.schemas.answers import messages as answers
from api.schemas.messages import MessagesQuery
from shared import private_chat
from shared.access.policy import Action
from shared.domain.repeats import KeyReused
from shared.events import topics
from shared.events.messages import DELETED, Message, deleted_payload
from shared.postgres import DatabaseUnavailable


async def send(call: Call) -> Message:
    """Send a private message, as over the socket."""
    asked: list[private_chat.Send] = []

    def under_key(event: private_chat.Send) -> None:
        asked.append(event)
        if call.key is not None and event.client_ref is None:
            # So the message is stored once, even if the process dies before its answer is kept.
            event.client_ref = f"idempotency-key:{hashlib.sha256(call.key.encode()).hexdigest()}"

    sent: Message = (await post(call, private_chat.Send, under_key)).payload
    if call.key is not None and not _is_stored(asked[0], sent):
        raise KeyReused
    # The message is stored, so nothing is lost if its answer cannot be kept.
    with suppress(DatabaseUnavailable):
        await keep(call, sent)
    return sent


def _is_stored(asked: private_chat.Send, sent: Message) -> bool:
    """True if this message is the one that was asked for, and not an earlier one with its `client_ref`."""
    # One that was deleted since has no text to compare.
    text = "" if "deleted_at" in sent else asked.message
    return (sent["to"], sent["message"], sent["listing_id"]) == (str(asked.to), text, asked.listing_id)


async def delete(call: Call) -> None:
    """Delete your own message, for both sides: its id stays, and its text is gone."""
    message_id, user_id, found = call.path_id(), call.user.user_id, call.services.messages
    call.require(Action.MESSAGE_DELETE, owner_id=await found.sender_of(message_id, for_user=user_id))
    call.query()
    deletion = await found.delete(message_id, by=user_id)
    if deletion is not None:
        told = topics.told_of_deletion(deletion.from_id, deletion.to_id)
        call.services.realtime.broadcast(told, DELETED, deleted_payload(deletion))
        call.services.abandoned_files.wake()


async def after(call: Call) -> answers.MessagesPage:
    """Your messages, sent and received, after an id, oldest first.

    The first page after an id also names messages up to it that were deleted since.
    """
    query = call.query(MessagesQuery)
    user_id, limit = call.user.user_id, query.limit
    next_id = decode_cursor(query.cursor, int)
    deleted: Sequence[int] = ()
    has_more_deleted = False
    if next_id is None:
        asked, overlap_seconds = (user_id, query.after_id), call.services.settings.catch_up_overlap_seconds
        found = await call.services.messages.catch_ups([asked], limit=limit, overlap_seconds=overlap_seconds)
        messages, complete, deleted, has_more_deleted = found[asked]
    else:
        messages = await call.services.messages.after(user_id, next_id, limit + 1)
        messages, complete = messages[:limit], len(messages) <= limit
    cursor = None if complete else encode_cursor(messages[-1].id)
    return answers.messages_page(messages, cursor, deleted, has_more_deleted=has_more_deleted)
