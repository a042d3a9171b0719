"""Takes away from a process all that decoding does not need: files, network, other processes, unlimited memory.

A filter of system calls (seccomp(2)) lets a process compute, use its memory, and read and write what is already open.
Every other call fails with EPERM, such as one that opens a file, a socket or a program, or reaches another process.
It may start threads, because the decoder of HEIC cannot do without one, but no other process. Setting the filter needs
no privilege, and nobody can remove it. Import everything first: no module can be read later.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import struct
import sys
from pathlib import Path

from shared.hiding import hide_from_other_processes

_NICENESS = 5
_MOST_FILES = 16
_MOST_FILE_BYTES = 1024 * 1024

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 38, 22  # <linux/prctl.h>
_SECCOMP_MODE_FILTER = 2  # <linux/seccomp.h>
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
# Classic BPF (<linux/filter.h>): load a word of `struct seccomp_data`, jump if it equals a constant, return a constant.
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16

# What pthread_create asks for (<linux/sched.h>): VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID and
# CHILD_CLEARTID; musl adds DETACHED. `clone` with exactly these flags makes a thread of the same process. The arguments
# of `clone3` are in memory, where a filter cannot look: it "does not exist", so that the C library takes `clone`.
_THREAD_FLAGS = (0x3D0F00, 0x7D0F00)
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_MOST_NEW_TASKS = 1024
"""Threads that may be started beside all tasks of the machine: a taken-over decoder cannot use up the kernel's."""

# The architecture (<linux/audit.h>), and the numbers of the calls that are allowed (<asm/unistd.h>): read, write,
# readv, writev, close, fstat, lseek, poll or ppoll; mmap, mprotect, munmap, mremap, madvise, brk; rt_sigaction,
# rt_sigprocmask, rt_sigreturn, sigaltstack, setitimer, getitimer; futex, sched_yield, sched_getaffinity, nanosleep,
# clock_gettime, clock_getres, clock_nanosleep, gettimeofday, times; getrusage, getpid, gettid, getrandom, membarrier,
# rseq, restart_syscall; exit, exit_group. Each line of numbers is a line of this list, in its order.
# fmt: off
_ALLOWED = {
    "x86_64": (0xC000003E, (
        0, 1,
        19, 20, 3, 5, 8, 7, 9, 10, 11, 25, 28, 12, 13,
        14, 15, 131, 38, 36, 202, 24, 204, 35,
        228, 229, 230, 96, 100, 98, 39, 186, 318, 324,
        334, 219, 60, 231,
    )),
    "aarch64": (0xC00000B7, (
        63, 64,
        65, 66, 57, 80, 62, 73, 222, 226, 215, 216, 233, 214, 134,
        135, 139, 132, 103, 102, 98, 124, 123, 101,
        113, 114, 115, 169, 153, 165, 172, 178, 278, 283,
        293, 128, 93, 94,
    )),
}
# fmt: on


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def confine(memory_bytes: int) -> str:
    """Confine this process for good. Returns an empty string, or a sentence that says what this system cannot do."""
    # A low priority, so that requests and chat are served first.
    os.nice(_NICENESS)
    hide_from_other_processes()
    for limit, most in (
        (resource.RLIMIT_AS, memory_bytes),
        # A core file would contain a user's picture.
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
        (resource.RLIMIT_NPROC, _tasks() + _MOST_NEW_TASKS),
        (resource.RLIMIT_FSIZE, _MOST_FILE_BYTES),
    ):
        # Some systems cannot limit the address space. The limit of pixels holds on all.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (most, most))
    missing = _filter_system_calls()
    if missing and sys.platform == "linux":
        # Without the filter, this keeps it from starting a program. A thread counts as well, so no HEIC is decoded.
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    return missing


def _tasks() -> int:
    """Returns the number of threads of all processes on this machine, or 0 if the system does not tell."""
    try:
        # "0.20 0.18 0.12 1/80 11206": running and existing tasks (proc(5)).
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return 0


def _filter_system_calls() -> str:
    known = _ALLOWED.get(platform.machine()) if sys.platform == "linux" else None
    if known is None:
        return f"no filter of system calls for {sys.platform} on {platform.machine()}"
    architecture, calls = known
    allow, refuse, unknown = (_step(_RETURN, answer) for answer in (_ALLOW, _EPERM, _ENOSYS))
    clone = _CLONE[platform.machine()]
    flags = [_step(_JUMP_IF_EQUAL, wanted, if_equal=len(_THREAD_FLAGS) - at) for at, wanted in enumerate(_THREAD_FLAGS)]
    # The first step of the end is for every other call, the second for `clone3`, the third begins what is for `clone`.
    end = [refuse, unknown, _step(_LOAD, _FIRST_ARGUMENT_AT), *flags, refuse, allow]
    places = {_CLONE3: 1, clone: 2}
    numbers = [*calls, clone, _CLONE3]
    checks = [
        _step(_JUMP_IF_EQUAL, number, if_equal=len(numbers) - 1 - at + places.get(number, len(end) - 1))
        for at, number in enumerate(numbers)
    ]
    # Another architecture (a 32-bit call on a 64-bit machine) has other numbers, and is refused as a whole.
    is_ours = _step(_JUMP_IF_EQUAL, architecture, if_equal=1)
    steps = [_step(_LOAD, _ARCHITECTURE_AT), is_ours, refuse, _step(_LOAD, _NUMBER_AT), *checks, *end]
    program = _Program(len(steps), b"".join(steps))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        return f"this kernel refuses a filter of system calls: {os.strerror(ctypes.get_errno())}"
    return ""


def _step(code: int, constant: int, *, if_equal: int = 0) -> bytes:
    """Returns one `struct sock_filter`. A jump skips `if_equal` instructions if the loaded word equals the constant."""
    return struct.pack("=HBBI", code, if_equal, 0, constant)
