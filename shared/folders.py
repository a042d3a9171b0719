"""Checks folders from the settings when a process starts, instead of when it stores the first file."""

from __future__ import annotations

import tempfile
from pathlib import Path


def make_folder(path: Path, mode: int) -> None:
    """Make the folder if it is missing, and write a file into it as a test. Raises OSError."""
    if not path.exists():
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path) as probe:
        probe.write(b"x")


def why(error: OSError) -> str:
    """Returns the reason of the error, without the path."""
    return (error.strerror or str(error)).lower()
