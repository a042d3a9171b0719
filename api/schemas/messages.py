"""Private messages by REST. shared/private_chat.py declares the body of a message, as for the socket."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from api.schemas.fields import IdOrZero, Ids
from api.schemas.pages import PageQuery
from shared.domain.declared import Id
from shared.domain.messages import Decision, RequestState


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesQuery(PageQuery):
    """With `after_id` 0 the first page begins with the first message; `cursor` continues after a page."""

    after_id: Annotated[int, IdOrZero, "Only messages with a greater id; 0 reads from the first one."] = 0


class ConversationSort(StrEnum):
    """Orders of conversations."""

    LATEST = "latest"
    USER = "user"
    """By the other user's id: a page costs the same, however many conversations there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationsQuery(PageQuery):
    """With `user_ids`, only the conversations with these users, in any state.

    Otherwise those in the inbox, or with `request` the requests in this state.
    """

    sort: Annotated[ConversationSort, "The order."] = ConversationSort.LATEST
    user_ids: Annotated[list[int], Ids, "Only conversations with these users: ids separated by commas."] | None = None
    request: (
        Annotated[RequestState, "Only requests that wait (`open`) or were `declined`, and not the inbox."] | None
    ) = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBody:
    state: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBody:
    up_to: Id
