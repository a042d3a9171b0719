"""Freezes a process with its children by SIGSTOP: their connections stay open, and nobody answers on them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

STOPPED = ("T", "t", "Z", "X")
"""States of a process (man 5 proc_pid_stat) in which it does nothing any more."""
PATIENCE_SECONDS = 20.0


def freeze(pid: int) -> None:
    """Returns when the process and all of its children have stopped.

    The process is stopped first: after that it makes no further child, which would be missing among those to stop.
    """
    _stop(pid)
    for child in _children(pid):
        _stop(child)


def thaw(pid: int) -> None:
    # The process itself goes on last: until then no child's id can become free.
    for one in [*_children(pid), pid]:
        os.kill(one, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    # On a busy machine a moment passes until a process that runs has been stopped.
    end = time.monotonic() + PATIENCE_SECONDS
    while _state(pid) not in STOPPED:
        assert time.monotonic() < end, f"process {pid} does not stop"
        time.sleep(0.001)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
