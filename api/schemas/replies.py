"""What is written under a listing."""

from __future__ import annotations

from marshmallow import Schema

from api.schemas.fields import Text
from shared.domain.replies import MAX_REPLY_LENGTH


class ReplyBody(Schema):
    text = Text(required=True, longest=MAX_REPLY_LENGTH)
