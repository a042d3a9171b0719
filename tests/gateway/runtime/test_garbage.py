"""Python's collector is told what a node is like."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from gateway.runtime.garbage import THRESHOLDS, look_for_garbage_rarely


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_is_there_is_looked_through_no_more_and_what_comes_rarely() -> None:
    look_for_garbage_rarely()
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold() == THRESHOLDS
    assert gc.isenabled(), "circles of libraries are freed some time"
