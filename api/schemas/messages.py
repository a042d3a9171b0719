"""Private messages by REST. What is sent is declared in shared/private_chat.py, as for the socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from api.schemas.fields import IdOrZero
from api.schemas.pages import PageQuery
from shared.domain.declared import Id


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesQuery(PageQuery):
    """`after_id` 0 is from the very first message; a `cursor` goes on where a page ended."""

    after_id: Annotated[int, IdOrZero, "Messages with a greater id; 0 is from the very first one."] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBody:
    up_to: Id
