"""The page's modules that need no browser, in Node: each `*.test.mjs` beside this file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.node import find_node

TESTS = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.servers
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
async def test_a_module_keeps_its_promises(path: Path) -> None:
    found = find_node()
    if found is None:
        pytest.skip("no Node on this machine: `make test` installs one")
    process = await asyncio.create_subprocess_exec(
        str(found.node), "--test", str(path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert "# pass 0" not in output.decode()
