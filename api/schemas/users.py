"""Bodies and queries with which admins act on users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated

from marshmallow import validate

from api.schemas.fields import Flag, Storable, Time
from api.schemas.pages import PageQuery
from shared.domain.declared import Text
from shared.domain.users import Role

Reason = Annotated[str, Text(1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleBody:
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class BanBody:
    reason: Reason
    until: Annotated[datetime, Time] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersQuery(PageQuery):
    q: Annotated[str, partial(Storable, validate=validate.Length(1, 200))] | None = None
    role: Role | None = None
    banned: Annotated[bool, Flag] | None = None
