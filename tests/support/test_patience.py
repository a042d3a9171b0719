"""Tests that a test's patience grows with the time for which its processes wait for a CPU, and not otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.support.patience import Patience, waited

SPINNING = "import os; os.sched_setaffinity(0, {%d}); print(flush=True)\nwhile True: pass"
SLEEPING = "import time; print(flush=True); time.sleep(600)"


@contextmanager
def running(code: str, count: int = 1) -> Iterator[list[int]]:
    """The ids of processes that run this code."""
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"\n"
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.communicate()


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.servers
def test_patience_grows_while_processes_wait_for_a_cpu() -> None:
    [cpu, *_] = os.sched_getaffinity(0)
    with running(SPINNING % cpu, 3) as ids:
        patience = Patience(1.0, ids)
        wait_until(lambda: patience.allowed > 1.5)


@pytest.mark.servers
def test_patience_does_not_grow_while_processes_sleep() -> None:
    with running(SLEEPING) as [process_id]:
        wait_until(lambda: psutil.Process(process_id).status() == psutil.STATUS_SLEEPING)
        before = waited(process_id)
        patience = Patience(0.1, [process_id])
        wait_until(lambda: patience.left == 0)
        assert (waited(process_id), patience.allowed) == (before, 0.1)


def test_patience_ends_at_the_most() -> None:
    assert Patience(5.0, most=1.0).allowed == 5.0
    assert 0 < Patience(5.0).left <= 5.0


def test_nothing_is_added_for_a_process_that_has_ended() -> None:
    assert Patience(5.0, [2**22 + 1]).allowed == 5.0
