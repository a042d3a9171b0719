"""The version of the release is the same wherever it is written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from shared.version import VERSION

CHECKOUT = Path(__file__).parents[2]


def test_the_processes_have_the_version_of_the_package() -> None:
    package = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert package["version"] == VERSION


def test_the_changelog_begins_with_what_is_unreleased_and_then_with_this_version() -> None:
    headings = re.findall(r"^## (.+)$", (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(VERSION)} - \d{{4}}-\d\d-\d\d", headings[1])
