"""Folders that a setting names, found out about at the start rather than with the first file that is kept there."""

from __future__ import annotations

import tempfile
from pathlib import Path


def make_folder(path: Path, mode: int) -> None:
    """Make it where it is missing, and write into it once. Raises OSError."""
    if not path.exists():
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path) as probe:
        probe.write(b"x")


def why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
