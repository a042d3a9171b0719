"""What moderators give of a category."""

from __future__ import annotations

from marshmallow import Schema, fields

from api.schemas.fields import Text
from shared.domain.listings import MAX_SHORT_TEXT_LENGTH, Visibility


class CategoryBody(Schema):
    name = Text(required=True, longest=MAX_SHORT_TEXT_LENGTH)
    visibility = fields.Enum(Visibility, by_value=True, load_default=Visibility.PUBLIC)


class CategoryChangeBody(Schema):
    """Only what is given is changed."""

    name = Text(longest=MAX_SHORT_TEXT_LENGTH)
    visibility = fields.Enum(Visibility, by_value=True)
