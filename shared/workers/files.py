"""Files by which the processes of one parent tell each other something, in a folder that only their user can enter."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def make_folder(path: Path) -> None:
    """Make the folder if it is not there. Raises OSError, also if it cannot be trusted."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        check_folder(path)


def check_folder(path: Path) -> None:
    """Raises PermissionError if others can write into the folder, and FileNotFoundError if it is gone.

    Where a cleaner of old files has removed it, anybody can make one of the same name.
    """
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(f"{path} belongs to others, too")


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file's content at once: whoever reads it sees the old or the new one. Raises OSError."""
    check_folder(path.parent)
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    new.replace(path)
