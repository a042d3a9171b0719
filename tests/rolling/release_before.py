"""The release before this one, as its commit has it. `release_before.txt` names the commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
COMMIT = Path(__file__).with_name("release_before.txt").read_text(encoding="utf-8").strip()
PROGRAM = ("api", "gateway", "shared", "clients", "schema.sql", "grants.sql")
"""What its image has."""
# The checkout may belong to another user than the one who tests it.
_GIT = ("git", "-c", "safe.directory=*", "-C", str(CHECKOUT))


def what_is_missing() -> str | None:
    """Returns why the release before cannot be had here, or None."""
    try:
        known = subprocess.run([*_GIT, "cat-file", "-e", f"{COMMIT}^{{commit}}"], capture_output=True, check=False)
    except FileNotFoundError:
        return "no git on this machine"
    if known.returncode:
        return f"the release before is not in this checkout: `git fetch --unshallow`, or `git fetch origin {COMMIT}`"
    return None


def archive(*paths: str) -> bytes:
    """Returns these of its files and folders, or all of them, as a tar archive."""
    return subprocess.run([*_GIT, "archive", COMMIT, *paths], capture_output=True, check=True).stdout


def unpack(folder: Path) -> None:
    """Write what its processes need into a folder. Without its commit the test is left out."""
    missing = what_is_missing()
    if missing is not None:
        pytest.skip(missing)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive(*PROGRAM), check=True)
