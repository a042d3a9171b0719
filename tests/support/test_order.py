"""Tests the order of the tests: the longest ones come first on every worker, and no test is lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.order import LONGEST, TESTS, in_order

SHORT = {"clients": 300, "protocol": 500}
LONG = {
    "end_to_end/faults": 20,
    "end_to_end/browser": 20,
    "attacks": 10,
    "deployment": 20,
    "end_to_end": 40,
    "contracts": 5,
}


def ordered(counts: dict[str, int]) -> list[Any]:
    """Order stand-ins for tests; `counts` says how many each folder has. `number` is the place before the ordering."""
    folders = [folder for folder, count in sorted(counts.items()) for _ in range(count)]
    given: Any = [
        SimpleNamespace(path=TESTS / folder / "test_it.py", folder=folder, number=number)
        for number, folder in enumerate(folders)
    ]
    return in_order(given)


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
def test_each_worker_begins_with_a_long_test_and_no_test_is_lost(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(workers))
    items = ordered({**SHORT, **LONG})
    assert sorted(item.number for item in items) == list(range(len(items)))
    left, begun = len(items), []
    for worker in range(workers):
        begun.append(items[len(items) - left].folder)
        left -= left // (workers - worker)
    assert set(begun[:4]) <= LONG.keys()


def test_the_tests_of_a_folder_stay_together_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    items = ordered({**SHORT, **LONG})
    for folder, count in LONG.items():
        places = [place for place, item in enumerate(items) if item.folder == folder]
        assert places == list(range(places[0], places[0] + count))
        numbers = [items[place].number for place in places]
        assert numbers == sorted(numbers)


def test_every_path_of_long_tests_exists() -> None:
    assert [place for place in LONGEST if not (TESTS / place).exists()] == []
