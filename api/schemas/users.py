"""Bodies and queries with which admins act on users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from api.schemas.fields import Time
from api.schemas.pages import PageQuery
from shared.domain.declared import Label, Text
from shared.domain.users import MAX_REASON_LENGTH, MAX_SEARCH_LENGTH, Role

Reason = Annotated[str, Text(MAX_REASON_LENGTH)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleBody:
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class BanBody:
    reason: Reason
    until: Annotated[datetime, Time] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersQuery(PageQuery):
    q: Annotated[str, Label(MAX_SEARCH_LENGTH), "A part of the name or the e-mail address."] | None = None
    role: Annotated[Role, "Only users with this role."] | None = None
    banned: Annotated[bool, "true: only users who are banned now; false: only the others."] | None = None
