"""The ways of a search, each made to be taken by bounds that are small or great."""

from __future__ import annotations

from typing import Any

import pytest

from shared.repositories import listing_search

BOUNDS: dict[str, dict[str, Any]] = {
    "as they are": {},
    "first walk and all matches": {"FIRST_WALK": 3, "MATCHES": 1, "SECOND_WALK": 4},
    "few matches": {"FIRST_WALK": 1, "MATCHES": 1000, "WORTHWHILE": 1000},
    "second walk": {"FIRST_WALK": 2, "WORTHWHILE": 0, "SECOND_WALK": 25},
}


def take(ways: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches go these ways until the test ends."""
    for name, bound in BOUNDS[ways].items():
        monkeypatch.setattr(listing_search, name, bound)
