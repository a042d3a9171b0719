"""Bodies about categories."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.declared import left_out
from shared.domain.listings import ShortText, Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryBody:
    name: ShortText
    visibility: Visibility = Visibility.PUBLIC


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryChangeBody:
    """Changes only the fields that are given."""

    name: ShortText | None = left_out()
    visibility: Visibility | None = left_out()
