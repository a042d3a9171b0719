"""The query of the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from api.schemas.pages import PageQuery
from shared.domain.declared import Id, Label


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery(PageQuery):
    action: Annotated[str, Label(50), "Only acts of this kind, such as `role_change`."] | None = None
    actor_id: Annotated[Id, "Only the acts of this user."] | None = None
