"""The release before this one, as its commit has it. `release_before.txt` names the commit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.support.processes import base_environment, environment_of
from tests.support.roles import as_owner
from tests.support.servers import Servers

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
    """Write what its processes need into a new folder. Without its commit the test is left out."""
    missing = what_is_missing()
    if missing is not None:
        pytest.skip(missing)
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive(*PROGRAM), check=True)


def apply_its_schema(folder: Path, database_url: str) -> None:
    """Give a database of this owner the schema of the release in a folder."""
    settings = Settings(database_url=database_url, redis_url="redis://127.0.0.1:1")
    subprocess.run(
        [sys.executable, "-m", "api", "schema"],
        cwd=folder,
        env={**base_environment(), **environment_of(settings)},
        check=True,
        capture_output=True,
    )


@contextmanager
def database_of(folder: Path, servers: Servers) -> Iterator[str]:
    """A database with the schema of the release in a folder."""
    with servers.empty_database() as url:
        apply_its_schema(folder, as_owner(url))
        yield url
