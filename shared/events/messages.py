"""Private messages in the form for clients, over sockets and by REST. Pure."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from shared.domain import messages
from shared.domain.declared import Id, Timestamp
from shared.domain.times import rfc3339, rfc3339_or_none
from shared.events import topics

SEND = "send"
"""The event whose payload is a message."""
REQUEST = "request"
"""A user has accepted or declined what another one writes. Only the user's own devices are told."""

DELETED = "deleted"
"""The event that tells both sides that the sender has deleted a message."""

# `from` is a keyword of Python, so this cannot be written as a class.
Message = TypedDict(
    "Message",
    {
        "id": Id,
        "from": str,
        "to": str,
        "message": str,
        "listing_id": int | None,
        "inserted_at": Timestamp,
        "read_at": Timestamp | None,
        "request": NotRequired[bool],
        "held": NotRequired[bool],
        "was_id": NotRequired[Id],
        "deleted_at": NotRequired[Timestamp],
    },
)
"""A message for clients. `from` and `to` are user ids as strings; the other ids are integers.

`request`, `held`, `was_id` and `deleted_at` are there only if they say something: `request` and `held` are always true.
"""


def message_payload(message: messages.Message) -> Message:
    """Returns the payload of `send`, which REST also answers."""
    payload: Message = {
        "id": message.id,
        "from": str(message.from_id),
        "to": str(message.to_id),
        "message": message.text,
        "listing_id": message.listing_id,
        "inserted_at": rfc3339(message.inserted_at),
        "read_at": rfc3339_or_none(message.read_at),
    }
    if message.is_request:
        payload["request"] = True
    if message.is_held:
        payload["held"] = True
    if message.was_id is not None:
        payload["was_id"] = message.was_id
    if message.deleted_at is not None:
        payload["deleted_at"] = rfc3339(message.deleted_at)
    return payload


def told_topics(message: messages.Message) -> list[str]:
    """Returns the topics on which the message is broadcast: both sides', or only its sender's."""
    if message.is_told:
        return topics.private_chats(message.to_id, message.from_id)
    return [topics.private_chat(message.from_id)]


def request_payload(other_id: int, decision: messages.Decision) -> dict[str, str]:
    """Returns the payload of `request`: the other user, and what was decided."""
    return {"with": str(other_id), "state": decision.value}


MessageDeleted = TypedDict("MessageDeleted", {"id": Id, "from": str, "to": str, "deleted_at": Timestamp})
"""The payload of `deleted`: the message's id, and its two sides."""


def deleted_payload(deletion: messages.Deletion) -> MessageDeleted:
    """Returns the payload of `deleted`. What only the sender ever had says that it is to the sender."""
    to_id = deletion.from_id if deletion.to_id is None else deletion.to_id
    return {
        "id": deletion.message_id,
        "from": str(deletion.from_id),
        "to": str(to_id),
        "deleted_at": rfc3339(deletion.deleted_at),
    }
