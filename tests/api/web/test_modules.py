"""The page's modules that need no browser, in Node: each `*.test.mjs` beside this file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.node_tests import run_tests

TESTS = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.servers
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
async def test_a_module_keeps_its_promises(path: Path) -> None:
    await run_tests(path)
