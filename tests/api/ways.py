"""The ways of a search, each made to be taken by bounds that are small or great."""

from __future__ import annotations

from typing import Any

import pytest

from shared.repositories import listing_pages, listing_relevance, listing_ways

BOUNDS: dict[str, dict[str, Any]] = {
    "as they are": {},
    "first walk and all matches": {"FIRST_WALK": 3, "MATCHES": 1, "SECOND_WALK": 4},
    "few matches": {"FIRST_WALK": 1, "MATCHES": 1000, "WORTHWHILE": 1000},
    "few matches, none checked": {"FIRST_WALK": 1, "MATCHES": 1000, "WORTHWHILE": 1000, "CHECKED": 0},
    "few matches, all checked": {"FIRST_WALK": 1, "WORTHWHILE": 1000, "OTHERS": 1, "MANY_OTHERS": 1},
    "too many to rank": {"FIRST_WALK": 1, "WORTHWHILE": 1000, "RANKED": 2},
    "second walk": {"FIRST_WALK": 2, "WORTHWHILE": 0, "TOO_MANY": 0, "SECOND_WALK": 25},
    "two places": {"PLACES": 2},
    "one place, then all": {"FIRST_WALK": 2, "WORTHWHILE": 0, "PLACES": 1},
}


def take(ways: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches go these ways until the test ends."""
    for name, bound in BOUNDS[ways].items():
        [module] = [one for one in (listing_pages, listing_relevance, listing_ways) if hasattr(one, name)]
        monkeypatch.setattr(module, name, bound)
