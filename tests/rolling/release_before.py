"""The release before this one, as its commit has it. `release_before.txt` names the commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
COMMIT = Path(__file__).with_name("release_before.txt").read_text(encoding="utf-8").strip()


def unpack(folder: Path) -> None:
    """Write the files of the release before into a folder. Without its commit the test is left out."""
    git = ["git", "-C", str(CHECKOUT)]
    try:
        known = subprocess.run([*git, "cat-file", "-e", f"{COMMIT}^{{commit}}"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no git on this machine")
    if known.returncode:
        pytest.skip(
            f"the release before is not in this checkout: `git fetch --unshallow`, or `git fetch origin {COMMIT}`"
        )
    archive = subprocess.run([*git, "archive", COMMIT], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
