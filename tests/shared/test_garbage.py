"""Tests how a node configures Python's garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from shared.garbage import THRESHOLDS, look_for_garbage_rarely


@pytest.fixture(autouse=True)
def _restore_the_collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_existing_objects_are_frozen_and_new_ones_are_collected_rarely() -> None:
    look_for_garbage_rarely()
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold() == THRESHOLDS
    assert gc.isenabled(), "reference circles in libraries must still be freed"
