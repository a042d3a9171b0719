"""A picture worker that strangers have taken over reaches nothing: no secret, no file, no network, no process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from development import child
from shared.settings import Settings
from tests.api.pictures.samples import encoded, exif, quarters, swapping_profile
from tests.api.pictures.test_workers import PROJECT, process, worker_pids, workers
from tests.support.ports import free_port
from tests.support.processes import base_environment, environment_of

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux confines its processes in this way"),
]

# This program prints what its children could do. Root may read everything, so the program first becomes an ordinary
# user. That hides it, which the prctl undoes: an ordinary process is not hidden after exec.
TRIES = """
import ctypes, errno, json, os, platform, signal, socket, subprocess, sys, threading
from api.pictures.confinement import confine
from shared.hiding import hide_from_other_processes

parent = os.getpid()
libc = ctypes.CDLL(None, use_errno=True)

def traced():
    # PTRACE_SEIZE, which stops nobody.
    if libc.ptrace(0x4206, parent, 0, 0):
        raise OSError(ctypes.get_errno(), "ptrace")

def forked():
    if not (pid := os.fork()):
        os._exit(0)
    os.waitpid(pid, 0)

def chosen(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "syscall")

def cloned(flags):
    number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    if not (pid := libc.syscall(number, ctypes.c_ulong(flags), None, None, None, None)):
        os._exit(0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone")
    os.waitpid(pid, 0)

def by_clone3():
    libc.syscall(435, None, ctypes.c_size_t(0))
    if ctypes.get_errno() == errno.ENOSYS:
        raise PermissionError

def threaded():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()

TRIES = {
    "the environment of the API": lambda: open(f"/proc/{parent}/environ", "rb").read(),
    "the memory of the API": lambda: open(f"/proc/{parent}/mem", "rb").close(),
    "tracing the API": traced,
    "a file": lambda: open(sys.executable, "rb").close(),
    "a new file": lambda: open("/dev/shm/taken-over", "wb").close() or os.unlink("/dev/shm/taken-over"),
    "a folder": lambda: os.listdir("/"),
    "TCP": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
    "UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "a Unix socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close(),
    "a program": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
    "another process": forked,
    "a signal to the API": lambda: os.kill(parent, 0),
    "another process by its flags": lambda: cloned(signal.SIGCHLD),
    # The kernel itself would refuse these flags, as wrong.
    "a thread that shares less": lambda: cloned(0x10000),
    "another process by clone3": by_clone3,
    "a thread": threaded,
    "io_uring": lambda: chosen(425, 1, ctypes.create_string_buffer(256)),
}

def result(attempt):
    try:
        attempt()
    except (PermissionError, BlockingIOError):
        return False
    except RuntimeError as error:
        # A thread that cannot be started.
        return str(error)
    except OSError as error:
        return str(error)
    return True

def outcome(before):
    # Each attempt has a process of its own.
    found = {}
    for name, attempt in TRIES.items():
        reading, writing = os.pipe()
        if not (pid := os.fork()):
            before()
            os.write(writing, json.dumps(result(attempt)).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        os.close(writing)
        found[name] = json.loads(os.read(reading, 1000))
        os.close(reading)
    return found

if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
libc.prctl(4, 1, 0, 0, 0)
libc.prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
free = outcome(lambda: None)
hidden_from = hide_from_other_processes() and outcome(lambda: None)
libc.prctl(4, 1, 0, 0, 0)
confined = outcome(lambda: confine(1024**3))
print(json.dumps([free, hidden_from, confined]))
"""


@pytest.fixture(scope="module")
def outcomes() -> Any:
    """What an unconfined child can do, what it can do to a hidden parent, and what a confined one can."""
    done = subprocess.run(
        [sys.executable, "-c", TRIES],
        env=base_environment(),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_environment_and_memory_of_a_hidden_process_cannot_be_read(outcomes: Any) -> None:
    free, hidden_from, _ = outcomes
    for attempt in ("the environment of the API", "the memory of the API"):
        assert free[attempt] is True
        assert hidden_from[attempt] is False
    assert hidden_from["tracing the API"] is False


def test_a_confined_process_can_do_none_of_what_it_could_before(outcomes: Any) -> None:
    free, _, confined = outcomes
    # Some machines refuse this to everybody.
    unusual = {"tracing the API", "io_uring", "a program", "a file", "a thread that shares less"}
    assert {attempt for attempt in set(free) - unusual if free[attempt] is not True} == set()
    assert free["a thread that shares less"] is not False
    # The decoder of HEIC works in a thread.
    assert confined == {**dict.fromkeys(confined, False), "a thread": True}


async def test_a_worker_is_confined_and_still_does_its_work() -> None:
    pictures = [
        encoded(quarters(), "JPEG", exif=exif(6), icc_profile=swapping_profile()),
        encoded(quarters(), "JPEG", progressive=True),
        encoded(quarters(), "PNG", icc_profile=swapping_profile()),
        encoded(quarters().convert("P"), "PNG"),
        encoded(quarters().convert("RGBA"), "WEBP"),
        encoded(quarters(), "MPO", save_all=True, append_images=[quarters()]),
        encoded(quarters().convert("CMYK"), "JPEG"),
        encoded(quarters(), "JPEG")[:-2],
        encoded(quarters().convert("P"), "GIF"),
        encoded(quarters(), "AVIF", exif=exif(6)),
        encoded(quarters(), "HEIF"),
        encoded(quarters().resize((96, 1024)), "HEIF", tile_size=64),
    ]
    async with workers() as processes:
        for picture in pictures:
            assert (await process(processes, picture)).width in (96, 64)
        (pid,) = worker_pids()
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        limits = Path(f"/proc/{pid}/limits").read_text() if os.getuid() == 0 else ""
        assert not limits or "Max open files            16 " in limits


@pytest.mark.parametrize("module", ["api", "gateway"])
async def test_a_process_hides_its_entries_below_proc(
    module: str, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Linux gives the entries of a process below /proc to its user and group, and those of a hidden process to root."""
    given = Settings(database_url=database_url, redis_url=redis_url, data_directory=tmp_path)
    ports = {"API_PORT": str(free_port()), "GATEWAY_PORT": str(free_port())}
    environment = {**environment_of(given), **ports}
    # Root takes another group, by which its processes can be told apart.
    group = 65534 if os.getuid() == 0 else None

    def owner(process: subprocess.Popen[bytes]) -> tuple[int, int]:
        status = os.stat(f"/proc/{process.pid}/environ")
        return status.st_uid, status.st_gid

    shown = subprocess.Popen(["/bin/sleep", "60"], group=group)
    process = subprocess.Popen([sys.executable, "-m", module], env=environment, cwd=PROJECT, group=group)
    try:
        assert owner(shown) == (os.getuid(), os.getgid() if group is None else group)
        assert await child.happens(lambda: owner(process) == (0, 0), 60.0)
        # A process that has ended belongs to root as well.
        assert process.poll() is None
    finally:
        for started in (shown, process):
            started.kill()
            started.wait()
