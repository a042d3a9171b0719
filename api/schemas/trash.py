"""The body with which moderators restore a listing from the trash."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.declared import Id


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreBody:
    """`category_id` is needed if the listing's category is gone."""

    category_id: Id | None = None
