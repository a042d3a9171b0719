"""A folder for servers that a test starts itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scratch import scratch_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    """A folder that Postgres can enter, whatever user runs it. It is removed after the test."""
    with scratch_directory() as made:
        yield made
