"""Tests that something is made once by processes that ask for it at the same time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.once import once


def made(base: Path, calls: Path) -> Any:
    def make() -> dict[str, str]:
        with calls.open("a") as file:
            file.write("called\n")
        return {"made": "once"}

    factory: Any = SimpleNamespace(getbasetemp=lambda: base)
    return once(factory, "thing", make)


def test_the_first_worker_makes_it_and_the_others_get_what_it_made(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    workers = [tmp_path / f"popen-gw{number}" for number in range(3)]
    for worker in workers:
        worker.mkdir()
        assert made(worker, calls) == {"made": "once"}
    assert calls.read_text() == "called\n"


def test_what_could_not_be_made_is_made_for_the_next_one_who_asks(tmp_path: Path) -> None:
    factory: Any = SimpleNamespace(getbasetemp=lambda: tmp_path)
    with pytest.raises(ZeroDivisionError):
        once(factory, "thing", lambda: 1 // 0)
    assert once(factory, "thing", lambda: [1]) == [1]
