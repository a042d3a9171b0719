"""Files by which the processes of one parent tell each other something."""

from __future__ import annotations

from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file's content at once: whoever reads it sees the old or the new one. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    new.replace(path)
