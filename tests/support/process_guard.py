"""Checks that only tests with a certain mark start processes, so that a run without these tests is fast everywhere."""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest

STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"})
"""The names of the audit events with which Python reports a start (PEP 578)."""


class ProcessGuard:
    """A pytest plugin. If a test without the mark starts a process, the start raises inside that test."""

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
        # Python calls this for every audit event until the process ends.
        if self._unmarked and event in STARTS:
            raise RuntimeError(f"{self._unmarked} starts a process: it needs the mark `{self._mark}`")
