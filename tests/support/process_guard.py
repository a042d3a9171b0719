"""Holds that only tests with a certain mark start processes, so that what is left without them is quick anywhere."""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest

STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"})
"""As the interpreter names them to audit hooks."""


class ProcessGuard:
    """A pytest plugin. What a test without the mark starts fails, in that test, where it does so."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._unmarked = ""
        sys.addaudithook(self._audit)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._unmarked = "" if item.get_closest_marker(self._mark) else item.nodeid
        try:
            return (yield)
        finally:
            self._unmarked = ""

    def _audit(self, event: str, _: tuple[object, ...]) -> None:
        # Called for everything that is audited in this process, for as long as it lives.
        if self._unmarked and event in STARTS:
            raise RuntimeError(f"{self._unmarked} starts a process: it needs the mark `{self._mark}`")
