"""Private messages: the form of a `send`, stored messages, and the reasons for a refusal. Pure.

`parse_send` checks the form of every message, for sockets and REST.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.domain.ids import parse_id
from shared.domain.text import is_storable, text_fault
from shared.domain.users import UserNotFound

MAX_TEXT_LENGTH = 4000
MAX_CLIENT_REF_LENGTH = 200

FIELDS = frozenset({"to", "message", "listing_id", "client_ref"})
"""The keys of a `send`. Sockets ignore other keys, REST refuses them."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message whose form has been checked, not yet stored."""

    from_id: int
    to_id: int
    text: str
    listing_id: int | None = None
    client_ref: str | None = None


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


@dataclass(frozen=True, slots=True)
class Conversation:
    """A user's messages with one other user, in brief."""

    user_id: int
    """The other user."""
    user_name: str
    last_message: Message
    unread_count: int


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


class Blocked(MessageRefused):
    """The recipient has blocked the sender."""

    reason = "blocked"


def parse_send(from_id: int, payload: Any) -> NewMessage:
    """Returns the message in a `send` payload. Ignores unknown keys. Raises InvalidMessage or UnknownRecipient."""
    if not isinstance(payload, Mapping):
        raise InvalidMessage({"payload": ["Not an object."]})
    errors: dict[str, list[str]] = {}
    if payload.get("to") is None:
        errors["to"] = ["Missing."]
    text: Any = payload.get("message")
    fault = "Missing." if text is None else _text_fault(text, MAX_TEXT_LENGTH)
    if fault:
        errors["message"] = [fault]
    listing_id = payload.get("listing_id")
    if listing_id is not None:
        listing_id = parse_id(listing_id)
        if listing_id is None:
            errors["listing_id"] = ["Not an id."]
    client_ref = payload.get("client_ref")
    if client_ref is not None:
        fault = _client_ref_fault(client_ref)
        if fault:
            errors["client_ref"] = [fault]
    to_id = parse_id(payload.get("to"))
    if to_id is None and "to" not in errors:
        raise UnknownRecipient
    if errors or to_id is None:
        raise InvalidMessage(errors)
    return NewMessage(from_id, to_id, text, listing_id, client_ref)


def parse_read(payload: Any) -> tuple[int, int]:
    """Returns the other user's id and the message id in a `read` payload, `{with, up_to}`.

    Raises InvalidMessage or UnknownRecipient.
    """
    if not isinstance(payload, Mapping):
        raise InvalidMessage({"payload": ["Not an object."]})
    errors: dict[str, list[str]] = {}
    up_to = parse_id(payload.get("up_to"))
    if up_to is None:
        errors["up_to"] = ["Not an id."]
    other_id = parse_id(payload.get("with"))
    if other_id is None:
        if payload.get("with") is not None:
            raise UnknownRecipient
        errors["with"] = ["Missing."]
    if up_to is None or other_id is None:
        raise InvalidMessage(errors)
    return other_id, up_to


def _text_fault(text: Any, longest: int) -> str | None:
    return text_fault(text, longest) if isinstance(text, str) else "Not a string."


def _client_ref_fault(client_ref: Any) -> str | None:
    if not isinstance(client_ref, str):
        return "Not a string."
    if not 1 <= len(client_ref) <= MAX_CLIENT_REF_LENGTH:
        return f"Between 1 and {MAX_CLIENT_REF_LENGTH} characters."
    if not is_storable(client_ref):
        return "Contains characters that cannot be stored."
    return None
