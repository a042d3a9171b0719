"""A folder for servers that a test starts itself."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def directory() -> Iterator[Path]:
    """Unlike tmp_path it can be entered by the system user that Postgres is when root runs the tests."""
    made = Path(tempfile.mkdtemp(prefix="daveslist-tests-", dir="/tmp"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)
