"""The order of the tests: each worker begins with a part of the longest ones, so that the last ones are short."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LONGEST = (
    "end_to_end/faults",
    "end_to_end/browser",
    "deployment",
    "end_to_end",
    "api/test_documentation.py",
    "development",
    "api/test_processes.py",
    "contracts",
)
"""Folders and files below `tests`. The one whose tests take the longest time comes first."""


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests in the order in which `--dist worksteal` gives them to the workers.

    Each worker gets an equal share, one after the other. A worker that has finished takes tests from the end of another
    worker's share. The tests of a folder stay together, because they share expensive fixtures, such as a browser.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    kinds: list[list[pytest.Item]] = [[] for _ in range(len(LONGEST) + 1)]
    for item in items:
        kinds[_kind(item.path)].append(item)
    short = kinds.pop()
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        share = (len(items) - len(ordered)) // (workers - worker)
        first = [item for kind in kinds[worker::workers] for item in kind]
        rest = max(0, share - len(first))
        ordered += first + short[:rest]
        del short[:rest]
    return ordered + short


@cache
def _kind(path: Path) -> int:
    for kind, place in enumerate(LONGEST):
        if path.is_relative_to(TESTS / place):
            return kind
    return len(LONGEST)
