"""Private messages by REST. The form of a message itself is judged by shared/domain/messages.py, as for the socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from api.schemas.fields import IdOrZero
from api.schemas.pages import PageQuery
from shared.domain.declared import Id, Text
from shared.domain.messages import MAX_CLIENT_REF_LENGTH, MAX_TEXT_LENGTH


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageBody:
    """For the document; `parse_send` reads it."""

    to: Id
    message: Annotated[str, Text(MAX_TEXT_LENGTH)]
    listing_id: Id | None = None
    client_ref: Annotated[str, Text(MAX_CLIENT_REF_LENGTH)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesQuery(PageQuery):
    """`after_id` 0 is from the very first message; a `cursor` goes on where a page ended."""

    after_id: Annotated[int, IdOrZero, "Messages with a greater id; 0 is from the very first one."] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBody:
    up_to: Id
