"""Private messages in the form for clients, over sockets and by REST. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NotRequired, TypedDict, cast

from shared.domain import messages
from shared.domain.declared import Id, Number, Timestamp
from shared.domain.pictures import MESSAGE_PICTURE, MESSAGE_PICTURE_MEDIUM, MESSAGE_PICTURE_THUMBNAIL
from shared.domain.pictures import MessagePicture as StoredPicture
from shared.domain.times import rfc3339, rfc3339_or_none
from shared.events import topics

SEND = "send"
"""The event whose payload is a message."""
READ = "read"
"""The event that tells both sides up to which message a user has read what another one wrote."""
REQUEST = "request"
"""A user has accepted or declined what another one writes. Only the user's own devices are told."""

DELETED = "deleted"
"""The event that tells both sides that the sender has deleted a message."""


class MessagePictureSize(TypedDict):
    """A smaller size of a picture: its path on this host, and its width in pixels."""

    url: str
    width: Number


class MessagePicture(TypedDict):
    """The URLs are paths on this host, for the two sides of the message only; width and height are in pixels.

    `sizes` are the smaller ones that there are, the smallest first; the last of them is not the whole picture.
    """

    id: Id
    url: str
    thumbnail_url: str
    width: Number
    height: Number
    sizes: list[MessagePictureSize]


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
        "pictures": NotRequired[list[MessagePicture]],
    },
)
"""A message for clients. `from` and `to` are user ids as strings; the other ids are integers.

`request`, `held`, `was_id`, `deleted_at` and `pictures` are there only if they say something: `request` and `held` are
always true. The text of a message with pictures may be empty.
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
    if message.pictures is not None:
        payload["pictures"] = [cast("MessagePicture", one) for one in message.pictures]
    return payload


def picture_payload(picture: StoredPicture) -> MessagePicture:
    """Returns the picture as the payload of its message has it."""
    thumbnail = MESSAGE_PICTURE_THUMBNAIL.format(id=picture.id)
    return {
        "id": picture.id,
        "url": MESSAGE_PICTURE.format(id=picture.id),
        "thumbnail_url": thumbnail,
        "width": picture.width,
        "height": picture.height,
        "sizes": [
            {"url": thumbnail, "width": picture.thumbnail_width},
            {"url": MESSAGE_PICTURE_MEDIUM.format(id=picture.id), "width": picture.medium_width},
        ],
    }


def told_topics(message: messages.Message) -> list[str]:
    """Returns the topics on which the message is broadcast: both sides', or only its sender's."""
    if message.is_told:
        return topics.private_chats(message.to_id, message.from_id)
    return [topics.private_chat(message.from_id)]


def reads_shown(reads: Iterable[messages.ReadShown]) -> list[tuple[list[str], str, dict[str, str | int]]]:
    """Returns the topics, event and payload of each broadcast that tells of what was read in secret until now.

    The reader's own devices were told when it was read.
    """
    return [([topics.private_chat(read.other_id)], READ, read_payload(*read)) for read in reads]


def read_payload(by_id: int, other_id: int, up_to: int) -> dict[str, str | int]:
    """Returns the payload of `read`: who has read, whose messages, and up to which id."""
    return {"by": str(by_id), "with": str(other_id), "up_to": up_to}


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
