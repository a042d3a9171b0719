"""The number of examples for each property: as many as its test asks for, or few in a fast run."""

from __future__ import annotations

import hypothesis

FEW = 20


def load_profile(*, is_fast: bool) -> None:
    """Load the profile. Call this before any test is imported."""
    # On a machine that is busy with other tests any example may be slow.
    hypothesis.settings.register_profile("all", deadline=None)
    hypothesis.settings.register_profile("fast", deadline=None, max_examples=FEW)
    hypothesis.settings.load_profile("fast" if is_fast else "all")


def examples(count: int) -> int:
    """A decorator for tests that want another number of examples than the profile has."""
    return min(count, FEW) if hypothesis.settings().max_examples == FEW else count
