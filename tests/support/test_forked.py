"""A process that a nursery forks has its own output and exit code, and ends with the nursery."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from development.child import happens
from tests.support.forked import Nursery
from tests.support.ports import free_port
from tests.support.processes import base_environment

pytestmark = pytest.mark.servers


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery(base_environment())
    yield nursery
    nursery.stop()


def test_a_forked_process_gets_its_arguments_and_leaves_output_and_exit_code(nursery: Nursery, tmp_path: Path) -> None:
    output = tmp_path / "output"
    process = nursery.start("gateway", ["argument"], base_environment(), output)
    assert process.wait() == 2
    assert "unrecognized arguments: argument" in output.read_text()
    process.kill()
    assert process.poll() == 2


ENDING = """
import asyncio, atexit, threading
atexit.register(print, "at the exit")
threading.Thread(target=lambda: (threading.main_thread().join(), print("from the thread"))).start()
cycle = []
cycle += [cycle, asyncio.sleep(0)]
print("at the end", end=" ")
"""


def test_a_forked_process_ends_as_python_does(nursery: Nursery) -> None:
    ended = nursery.run("timeit", "--number=1", "--repeat=1", ENDING, environment=base_environment())
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("at the end ")
    assert ended.stdout.endswith("from the thread\nat the exit\n")
    assert "coroutine 'sleep' was never awaited" in ended.stderr


async def test_a_forked_process_gets_its_environment_and_a_signal_is_its_exit_code(
    nursery: Nursery, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    refused = nursery.start("gateway", [], {**base_environment(), "GATEWAY_PORT": "none"}, output)
    assert refused.wait() == 2
    assert "GATEWAY_PORT" in output.read_text()
    lab = nursery.start("tests.lab", ["--port", str(free_port())], base_environment(), output)
    assert await happens(lambda: "lab: ws://" in output.read_text(), 10)
    lab.send_signal(signal.SIGKILL)
    assert lab.wait() == -signal.SIGKILL


async def test_no_forked_process_outlives_the_nursery(nursery: Nursery, tmp_path: Path) -> None:
    output = tmp_path / "output"
    lab = nursery.start("tests.lab", ["--port", str(free_port())], base_environment(), output)
    assert await happens(lambda: "lab: ws://" in output.read_text(), 10)
    nursery.stop()
    assert await happens(lambda: not is_alive(lab.pid), 10)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
