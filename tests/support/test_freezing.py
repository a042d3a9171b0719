"""After `freeze`, neither a process nor any child of it runs; after `thaw`, all run again."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.freezing import freeze, thaw

FORKING = """
import os, time
while True:
    if os.fork() == 0:
        time.sleep(0.2)
        os._exit(0)
    while os.waitpid(-1, os.WNOHANG)[0]:
        pass
    print("alive", flush=True)
    time.sleep(0.001)
"""


@pytest.mark.servers
def test_a_process_that_forks_all_the_time_stops_with_all_its_children() -> None:
    process = subprocess.Popen([sys.executable, "-c", FORKING], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        for _ in range(20):
            assert process.stdout.readline() == b"alive\n"
            freeze(process.pid)
            assert states(process.pid) <= {"T", "Z"}
            thaw(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def states(pid: int) -> set[str]:
    """The states of the process and of its children, as ps tells them."""
    listed = subprocess.run(
        ["ps", "-o", "state=", "--pid", str(pid), "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    return set(listed.stdout.split())
