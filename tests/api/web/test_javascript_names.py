"""eslint reads all JavaScript of the project: the page, the client of private chat, and the tests.

A module with a name that is not defined loads, and fails only when that line runs.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.node import find_node
from tests.support.processes import CHECKOUT

PACKAGES = CHECKOUT / "tests" / "end_to_end" / "js"
ESLINT = PACKAGES / "node_modules" / "eslint" / "bin" / "eslint.js"
CONFIG = PACKAGES / "eslint.config.js"


def lint(*paths: str | Path, text: str | None = None) -> tuple[int, str]:
    """Returns eslint's exit code and what it says."""
    node = find_node()
    if node is None or not ESLINT.is_file():
        pytest.skip("no Node with the npm packages: `make test` installs them")
    ended = subprocess.run(
        [node.node, ESLINT, "--config", CONFIG, "--no-color", "--max-warnings=0", *paths],
        cwd=CHECKOUT, input=text, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.servers
def test_no_name_is_undefined_or_unused_and_eslint_finds_nothing_else() -> None:
    code, said = lint("api", "clients", "tests")
    assert code == 0, said


@pytest.mark.servers
def test_eslint_would_find_a_name_that_a_merge_has_lost() -> None:
    code, said = lint(
        "--stdin", "--stdin-filename", "api/web/clock.js",
        text='import { lost } from "./format.js";\nexport const shown = (time) => date(time);\n',
    )  # fmt: skip
    assert code == 1
    assert "'date' is not defined" in said
    assert "'lost' is defined but never used" in said
