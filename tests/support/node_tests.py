"""Runs a file of tests that are written for Node's own runner."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.support.node import find_node


async def run_tests(path: Path) -> None:
    """Run a file of tests. Fails with their output; skips if there is no Node."""
    found = find_node()
    if found is None:
        pytest.skip("no Node on this machine: `make test` installs one")
    process = await asyncio.create_subprocess_exec(
        found.node, "--test-reporter=tap", path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert re.search(r"^# pass [1-9]", output.decode(), re.MULTILINE), output.decode()
