"""Private messages by REST. The form of a message itself is judged by shared/domain/messages.py, as for the socket."""

from __future__ import annotations

from marshmallow import Schema

from api.schemas.fields import Id, IdOrZero, PageQuery, Text
from shared.domain.messages import MAX_CLIENT_REF_LENGTH, MAX_TEXT_LENGTH


class MessageBody(Schema):
    """For the document; `parse_send` reads it."""

    to = Id(required=True)
    message = Text(required=True, longest=MAX_TEXT_LENGTH)
    listing_id = Id(allow_none=True)
    client_ref = Text(allow_none=True, longest=MAX_CLIENT_REF_LENGTH)


class MessagesQuery(PageQuery):
    """`after_id` 0 is from the very first message; a `cursor` goes on where a page ended."""

    after_id = IdOrZero(load_default=0)


class ReadBody(Schema):
    up_to = Id(required=True)
