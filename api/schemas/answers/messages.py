"""Conversations, and messages that are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, cast

from marshmallow import fields

from api.schemas.answers.common import ABSENT, Person
from shared.domain import holds, messages
from shared.domain.declared import Id, Number, Timestamp
from shared.domain.holds import HoldDecision
from shared.domain.listings import Status
from shared.domain.times import rfc3339, rfc3339_or_none
from shared.events.messages import Message, MessagePicture, message_payload


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationListing:
    """A listing in brief. `thumbnail_url` is that of its first picture; visitors may see it if `for_anyone`."""

    id: Id
    title: str
    price: int | None
    status: Status
    thumbnail_url: str | None
    for_anyone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """`listing` is the one that the last message about a listing names; null if you may not see it (any more).

    `blocked` says whether you have blocked this user. `request` is null for a conversation in the inbox, `open` if this
    user asks to write to you, and `declined` if you do not want that.
    """

    user: Person
    last_message: Message
    unread_count: Number
    listing: ConversationListing | None
    blocked: bool
    request: messages.RequestState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesPage:
    """`deleted` and `more_deleted` are there only if they say something. `deleted` has the ids of messages up to
    `after_id` that were deleted shortly before its time or later; clients that still have them drop their texts. It has
    the latest ones; if `more_deleted` is true, read the conversations that are kept again.
    """

    data: list[Message]
    next_cursor: str | None
    deleted: Annotated[list[int], partial(fields.List, fields.Integer(strict=True))] = ABSENT
    more_deleted: bool = ABSENT


def messages_page(
    found: Sequence[messages.Message], next_cursor: str | None, deleted: Sequence[int], *, has_more_deleted: bool
) -> MessagesPage:
    return MessagesPage(
        data=[message_payload(message) for message in found],
        next_cursor=next_cursor,
        deleted=list(deleted) or ABSENT,
        more_deleted=has_more_deleted or ABSENT,
    )


def conversation(conversation: messages.Conversation) -> Conversation:
    return Conversation(
        user=Person(conversation.user_id, conversation.user_name),
        last_message=message_payload(conversation.last_message),
        unread_count=conversation.unread_count,
        listing=_in_brief(conversation.listing),
        blocked=conversation.is_blocked,
        request=conversation.request,
    )


def _in_brief(listing: messages.ConversationListing | None) -> ConversationListing | None:
    if listing is None:
        return None
    return ConversationListing(
        id=listing.id,
        title=listing.title,
        price=listing.price,
        status=Status(listing.status),
        thumbnail_url=listing.thumbnail_url,
        for_anyone=listing.is_for_anyone,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Messages of `person` that wait because the same or nearly the same text went to many who have not answered.

    `messages` of them wait, to `people` different people; `texts` are the latest different ones, at most five, and
    `pictures` the latest ten, which moderators may see while they wait. `newest_id` is the greatest id of a message
    that waits: decide up to it, and what you have not seen waits on. `decision` is null until a moderator has decided,
    or until the rule has let all go.
    """

    id: Id
    person: Person
    created_at: Timestamp
    messages: Number
    people: Number
    texts: list[str]
    newest_id: int | None
    pictures: list[MessagePicture]
    decision: HoldDecision | None
    decided_at: Timestamp | None
    decided_by: Id | None


def held_pictures(pictures: Sequence[Mapping[str, Any]]) -> list[MessagePicture]:
    return [cast("MessagePicture", one) for one in pictures]


def hold(one: holds.Hold) -> Hold:
    return Hold(
        id=one.id,
        person=Person(one.user_id, one.user_name),
        created_at=rfc3339(one.created_at),
        messages=one.messages,
        people=one.people,
        texts=list(one.texts),
        newest_id=one.newest_id,
        pictures=held_pictures(one.pictures),
        decision=one.decision,
        decided_at=rfc3339_or_none(one.decided_at),
        decided_by=one.decided_by,
    )
