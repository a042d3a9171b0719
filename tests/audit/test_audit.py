"""The audit tells a known vulnerability from a registry that cannot be asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.audit.__main__ import CHECKOUT, LOCKS, NPM_FOLDERS, NotAsked, found_by_npm, found_by_pip_audit

pytestmark = pytest.mark.servers


def program(folder: Path, output: str, error: str, code: int) -> str:
    """A program that writes this, whatever it is asked, and ends with this code."""
    path = folder / "program"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.stdout.write({output!r})\nsys.stderr.write({error!r})\nsys.exit({code})\n"
    )
    path.chmod(0o700)
    return str(path)


def test_a_vulnerable_package_is_named_with_the_version_that_has_the_fix(tmp_path: Path) -> None:
    answer = {
        "dependencies": [
            {"name": "good", "version": "1", "vulns": []},
            {"name": "bad", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]},
        ]
    }
    python = program(tmp_path, json.dumps(answer), "Found 1 known vulnerability", 1)
    assert found_by_pip_audit(python, tmp_path / "x.lock") == ["bad 2: CVE-1, fixed in 3"]


def test_a_registry_that_does_not_answer_is_no_vulnerability(tmp_path: Path) -> None:
    python = program(tmp_path, "", "Traceback\nConnectionError: no route to host", 1)
    with pytest.raises(NotAsked, match="no route to host"):
        found_by_pip_audit(python, tmp_path / "x.lock")
    npm = program(tmp_path, json.dumps({"message": "request failed", "error": {}}), "", 1)
    with pytest.raises(NotAsked, match="request failed"):
        found_by_npm([npm], tmp_path)


def test_a_vulnerable_npm_package_is_named(tmp_path: Path) -> None:
    npm = program(tmp_path, json.dumps({"vulnerabilities": {"bad": {"severity": "high"}}}), "", 1)
    assert found_by_npm([npm], tmp_path) == ["bad: high"]


def test_every_lock_of_the_project_is_audited() -> None:
    found = (*CHECKOUT.glob("requirements/*.lock"), *CHECKOUT.glob("tests/*/*/package-lock.json"))
    locks = {path.relative_to(CHECKOUT).as_posix() for path in found}
    audited = {f"requirements/{name}.lock" for name in LOCKS} | {f"{name}/package-lock.json" for name in NPM_FOLDERS}
    assert locks == audited
