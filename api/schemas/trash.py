"""What moderators give to take a listing out of the trash."""

from __future__ import annotations

from marshmallow import Schema

from api.schemas.fields import Id


class RestoreBody(Schema):
    """`category_id` is needed if the listing's category is gone."""

    category_id = Id(load_default=None, allow_none=True)
