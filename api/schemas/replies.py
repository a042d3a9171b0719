"""The body of a reply to a listing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from shared.domain.declared import Text
from shared.domain.replies import MAX_REPLY_LENGTH


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyBody:
    text: Annotated[str, Text(MAX_REPLY_LENGTH)]
