"""Runs each `*.test.mjs` beside this file in Node: tests of the JavaScript client with a simulated socket and clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.node_tests import run_tests

TESTS = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.servers
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
async def test_the_tests_of_a_module_pass(path: Path) -> None:
    await run_tests(path)
