"""What moderators give of a category."""

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
    """Only what is given is changed."""

    name: ShortText | None = left_out()
    visibility: Visibility | None = left_out()
