"""Makes temporary folders for servers. They are in memory if there is room, because tests make many databases."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 2 * 1024**3


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A new folder, removed at the end, with a path short enough for a socket.

    When root runs the tests, Postgres runs as another user. That user can enter this folder, but not tmp_path.
    """
    made = Path(tempfile.mkdtemp(prefix="daveslist-tests-", dir=_base()))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made)


def _base() -> Path:
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
        return MEMORY
    return Path("/tmp")
