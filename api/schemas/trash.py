"""The query of the trash, and the body with which a listing is restored from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from api.schemas.pages import PageQuery
from shared.domain.declared import Id


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashQuery(PageQuery):
    """A page of the trash."""

    own: Annotated[bool, "true: only listings of your own that you can restore."] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreBody:
    """`category_id` is needed if the listing's category is gone."""

    category_id: Id | None = None
