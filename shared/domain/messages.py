"""Private messages: new and stored ones, and the reasons for a refusal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from shared.domain.users import NewAccountLimited, NoLongerAllowed, UserNotFound

MAX_TEXT_LENGTH = 4000
MAX_CLIENT_REF_LENGTH = 200
MAX_MESSAGE_PICTURES = 10
"""The most pictures of one message."""
MAX_UNSENT_PICTURES = 20
"""The most pictures that one person may have uploaded and not sent."""
UNSENT_PICTURE_HOURS = 24
"""A picture that was not sent for so long is deleted."""


@dataclass(slots=True)
class NewMessage:
    """A message whose form has been checked, not yet stored. It is not frozen, because that would be slower to make."""

    from_id: int
    to_id: int
    text: str
    listing_id: int | None = None
    client_ref: str | None = None


class ReadShown(NamedTuple):
    """What a user had read in secret, and is shown to whoever wrote it now that the two are not apart any more."""

    by_id: int
    other_id: int
    """Who wrote it, and is to be told."""
    up_to: int
    """The greatest id that is shown as read now."""


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message."""

    id: int
    from_id: int
    to_id: int
    text: str
    listing_id: int | None
    inserted_at: datetime
    read_at: datetime | None = None
    is_request: bool = False
    """True if the recipient had to accept the sender when the message was sent."""
    is_held: bool = False
    """True while it waits for a moderator. Only its sender knows of it."""
    was_id: int | None = None
    """The id that it had for its sender while it was held."""
    deleted_at: datetime | None = None
    """When its sender deleted it; it has no text since."""
    is_declined: bool = False
    """True if the recipient had declined the sender when it was sent. Its sender does not know."""
    pictures: Sequence[Mapping[str, Any]] | None = None
    """For clients (shared/events/messages.py); None without any."""
    only_for_sender: bool = field(default=False, compare=False)
    """True of a repeat that is refused as a new message would be: it is answered, and not sent to the recipient again.
    """
    shows_read: Sequence[ReadShown] = field(default=(), compare=False)
    """What is shown as read since this message was stored, because it accepts."""

    @property
    def is_told(self) -> bool:
        """Whether the recipient's devices are told of it, and not only its sender's."""
        return not (self.only_for_sender or self.is_held or self.is_declined)


@dataclass(frozen=True, slots=True)
class Deletion:
    """A message that its sender has deleted, for both sides."""

    message_id: int
    from_id: int
    to_id: int | None
    """None if the recipient never had it."""
    deleted_at: datetime
    number: int = field(default=0, compare=False)
    """Later deletions have greater numbers."""


@dataclass(frozen=True, slots=True)
class ConversationListing:
    """The listing that a conversation is about, in brief, as it is now."""

    id: int
    title: str
    price: int | None
    status: str
    thumbnail_url: str | None
    """Of its first picture."""
    is_for_anyone: bool
    """True if visitors may see it too."""


class RequestState(StrEnum):
    """What a user has not accepted."""

    OPEN = "open"
    DECLINED = "declined"


class Decision(StrEnum):
    """What a user may decide about somebody who writes to them."""

    ACCEPTED = "accepted"
    DECLINED = "declined"


class NoConversation(Exception):
    """Somebody has never written to the user."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A user's messages with one other user, in brief."""

    user_id: int
    """The other user."""
    user_name: str
    last_message: Message
    unread_count: int
    listing: ConversationListing | None = None
    """That of the last message which names one, if the user may see it now."""
    is_blocked: bool = False
    """True if the user has blocked the other one."""
    request: RequestState | None = None
    """Of the other one's request to write to the user; None if the conversation is in the inbox."""


class MessageNotFound(Exception):
    """There is no such message, or the user has nothing to do with it."""


class TooManyUnsentPictures(Exception):
    """The person has MAX_UNSENT_PICTURES pictures that belong to no message yet."""


class MessageRefused(Exception):
    """The message was not stored; `reason` is the text for the sender."""

    reason: str


class InvalidMessage(MessageRefused):
    """The form of the message is wrong; `errors` has a list of sentences for each wrong field."""

    reason = "invalid message"

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__(self.reason)
        self.errors = dict(errors)


class UnknownRecipient(MessageRefused, UserNotFound):
    """There is no user with this id."""

    reason = "user not found"


class SenderGone(MessageRefused, NoLongerAllowed):
    """The sender has left or was banned while the message was on its way."""

    reason = "unauthorized"


class NotConfirmed(MessageRefused):
    """The sender has not confirmed the e-mail address yet, and may only answer."""

    reason = "not confirmed"


class TooManyNewPeople(MessageRefused, NewAccountLimited):
    """The sender's account is new, and has written first to as many people as it may in a day."""

    reason = "too many new people"

    def __init__(self, again_at: datetime, seconds: int) -> None:
        NewAccountLimited.__init__(self, again_at, seconds)


class UnreadWarning(MessageRefused):
    """The sender has a warning to read first."""

    reason = "unread warning"


class Blocked(MessageRefused):
    """The recipient has blocked the sender."""

    reason = "blocked"


class Blocking(MessageRefused):
    """The sender has blocked the recipient."""

    reason = "you blocked this person"


class NoRequests(MessageRefused):
    """The recipient takes messages only about own listings, and from people whom they have written to."""

    reason = "only about listings"
