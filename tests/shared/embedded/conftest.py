"""A folder for servers that a test starts itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scratch import scratch_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    """Removed after the test; Postgres can get in, whoever runs it."""
    with scratch_directory() as made:
        yield made
