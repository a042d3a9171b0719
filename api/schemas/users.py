"""What admins give about users."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from api.schemas.fields import Flag, PageQuery, Storable, Text, Time
from shared.domain.users import Role

MAX_REASON_LENGTH = 1000


class RoleBody(Schema):
    role = fields.Enum(Role, by_value=True, required=True)


class BanBody(Schema):
    reason = Text(required=True, longest=MAX_REASON_LENGTH)
    until = Time(load_default=None, allow_none=True)


class UsersQuery(PageQuery):
    q = Storable(load_default=None, validate=validate.Length(1, 200))
    role = fields.Enum(Role, by_value=True, load_default=None)
    banned = Flag(load_default=None)
