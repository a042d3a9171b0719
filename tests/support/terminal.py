"""A real terminal (a pty) on which a test's process, or the test itself, writes."""

from __future__ import annotations

import os
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest


class Terminal:
    """`writer` is what a program writes to; `read` returns what has arrived on the screen."""

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        # A terminal makes line ends of its own, which would hide those that a program writes.
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        self.writer: TextIO = os.fdopen(slave, "w", encoding="utf-8", buffering=1, newline="")
        self._seen = b""

    def read(self) -> str:
        """All that was written so far."""
        while True:
            try:
                more = os.read(self._master, 65536)
            except OSError:
                break
            if not more:
                break
            self._seen += more
        return self._seen.decode("utf-8", errors="replace")

    def close(self) -> None:
        self.writer.close()
        os.close(self._master)


@contextmanager
def opened() -> Iterator[Terminal]:
    terminal = Terminal()
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal for one test."""
    with opened() as made:
        yield made
