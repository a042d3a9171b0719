"""Private messages by REST. shared/domain/messages.py checks the message itself, as for the socket."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from api.schemas.fields import IdOrZero, Ids
from api.schemas.pages import PageQuery
from shared.domain.declared import Id, Text
from shared.domain.messages import MAX_CLIENT_REF_LENGTH, MAX_TEXT_LENGTH


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageBody:
    """Describes the body in the OpenAPI document; `parse_send` reads it."""

    to: Id
    message: Annotated[str, Text(MAX_TEXT_LENGTH)]
    listing_id: Id | None = None
    client_ref: Annotated[str, Text(MAX_CLIENT_REF_LENGTH)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesQuery(PageQuery):
    """With `after_id` 0 the first page begins with the first message; `cursor` continues after a page."""

    after_id: Annotated[int, IdOrZero] = 0


class ConversationSort(StrEnum):
    """Orders of conversations."""

    LATEST = "latest"
    USER = "user"
    """By the other user's id: each page costs the same, however many conversations there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationsQuery(PageQuery):
    """With `user_ids`, only the conversations with these users."""

    sort: ConversationSort = ConversationSort.LATEST
    user_ids: Annotated[list[int], Ids] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBody:
    up_to: Id
