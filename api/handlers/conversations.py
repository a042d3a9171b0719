"""Conversations: private messages grouped by the other user, counts of unread messages, and marking them as read."""

from __future__ import annotations

from api.answers import Page
from api.call import Call
from api.pagination import decode_cursor, page
from api.private_chat import happen
from api.problems import Invalid
from api.schemas.answers import messages as answers
from api.schemas.messages import ConversationSort, ConversationsQuery, ReadBody, RequestBody
from api.schemas.pages import PageQuery
from shared.domain.ids import MAX_ID
from shared.events.messages import Message, message_payload
from shared.private_chat import Read


async def find(call: Call) -> Page[answers.Conversation]:
    """Your conversations, latest first or by the other user's id; or what is still a request."""
    query, me, conversations = call.query(ConversationsQuery), call.user.user_id, call.services.conversations
    more = query.limit + 1
    if query.sort is ConversationSort.USER:
        if query.user_ids is not None:
            raise Invalid({"user_ids": ["Cannot be combined with sort=user."]})
        found = await conversations.by_user(me, after_id=_position(query) or 0, limit=more, request=query.request)
        return page(found, query.limit, answers.conversation, lambda one: (query.sort, one.user_id))
    before_id = _position(query) or MAX_ID
    if query.request is not None and query.user_ids is not None:
        raise Invalid({"user_ids": ["Cannot be combined with request."]})
    if query.request is not None:
        found = await conversations.requests(me, query.request, before_id=before_id, limit=more)
    elif query.user_ids is None:
        found = await conversations.latest(me, before_id=before_id, limit=more)
    else:
        found = await conversations.with_users(me, query.user_ids, before_id=before_id, limit=more)
    return page(found, query.limit, answers.conversation, lambda one: (query.sort, one.last_message.id))


async def messages(call: Call) -> Page[Message]:
    """Your messages with a user, newest first."""
    other_id = call.path_id("user_id")
    await call.services.users.require_existed(other_id)
    query = call.query(PageQuery)
    found = await call.services.messages.conversation(
        call.user.user_id, other_id, before_id=decode_cursor(query.cursor, int) or MAX_ID, limit=query.limit + 1
    )
    return page(found, query.limit, message_payload, lambda message: message.id)


async def decide(call: Call) -> None:
    """Accept or decline what this user writes to you.

    Who is declined does not notice. What they write from then on reaches none of your devices; you find it with
    `request=declined`. Your next message to them accepts them again.
    """
    other_id = call.path_id("user_id")
    await call.services.users.require_existed(other_id)
    body, me = await call.body(RequestBody), call.user.user_id
    shown = await call.services.chats.contacts.decide(me, other_id, body.state)
    call.services.realtime.request_decided(me, other_id, body.state)
    call.services.realtime.reads_shown(shown)


async def mark_read(call: Call) -> None:
    """Mark this user's messages as read, up to a message."""
    other_id = call.path_id("user_id")
    await call.services.users.require_existed(other_id)
    body = await call.body(ReadBody)
    await happen(call, Read(with_=other_id, up_to=body.up_to))


def _position(query: ConversationsQuery) -> int | None:
    """Returns the position in the cursor. Raises Invalid, also for a cursor of another order."""
    decoded = decode_cursor(query.cursor, tuple[str, int])
    if decoded is not None and decoded[0] != query.sort.value:
        raise Invalid({"cursor": ["Not a cursor of this list."]})
    return None if decoded is None else decoded[1]
