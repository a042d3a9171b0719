"""Tests what a run does about tests that this machine cannot run, such as those of a browser that is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import CHECKOUT

JOURNEYS = "tests/end_to_end/browser/test_journeys.py"


@pytest.mark.servers
def test_the_journeys_of_a_missing_browser_are_named_and_fail_where_nothing_may_be_left_out(
    tmp_path: Path,
) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            JOURNEYS,
            "-q",
            "-p",
            "no:xdist",
            "-p",
            "no:cacheprovider",
            "--nothing-left-out",
        ],
        cwd=CHECKOUT,
        # No program is found, so there is no browser and no driver.
        env={**os.environ, "PATH": str(tmp_path), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr
    assert "3 skipped" in ran.stdout
    for missing in ("Chromium", "Firefox", "WebKitWebDriver and Xvfb"):
        assert f"left out (no {missing} on this machine):\n    {JOURNEYS} (1 test)" in ran.stdout
