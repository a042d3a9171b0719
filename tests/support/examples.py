"""How many examples a property is tried with: all that its test asks for, or few where seconds count."""

from __future__ import annotations

import hypothesis

FEW = 20


def load_profile(*, is_fast: bool) -> None:
    """Before any test is imported."""
    # A machine that is busy with other tests makes any example slow now and then.
    hypothesis.settings.register_profile("all", deadline=None)
    hypothesis.settings.register_profile("fast", deadline=None, max_examples=FEW)
    hypothesis.settings.load_profile("fast" if is_fast else "all")


def examples(count: int) -> int:
    """For tests that want another number than the profile has."""
    return min(count, FEW) if hypothesis.settings().max_examples == FEW else count
