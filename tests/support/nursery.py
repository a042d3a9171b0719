"""A process that has imported Daveslist, and forks whenever a test needs a process of it: each starts in no time.

    python -m tests.support.nursery FILE_DESCRIPTOR

To import everything anew takes most of a CPU second, hundreds of times in one run. What is forked runs its module from
the top as `python -m` does, with an environment, an output and a session of its own. `tests/support/forked.py` is at
the other end of the socket: one line of JSON is a request, one line answers it. At the end of the socket the nursery
ends, and the kernel ends whatever it forked.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

IMPORTED = ("api.commands", "api.server", "gateway.server", "shared.start", "tests.lab.node", "uvloop")
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@dataclass(frozen=True, slots=True)
class Program:
    """What `python -m MODULE ARGUMENT...` would run."""

    module: str
    arguments: list[str]
    environment: dict[str, str]
    output: str
    errors: str
    """Files that are there, to which it appends."""
    directory: str


def serve(connection: socket.socket) -> Program | None:
    """Answer requests until nobody is left to ask; in a process that was forked, return what it is to run."""
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        for line in stream:
            match json.loads(line):
                case {"start": dict(program)}:
                    parent = os.getpid()
                    answer: Any = os.fork()
                    if answer == 0:
                        _leave(parent)
                        return Program(**program)
                case {"poll": int(pid)}:
                    ended, status = os.waitpid(pid, os.WNOHANG)
                    answer = os.waitstatus_to_exitcode(status) if ended else None
                case other:
                    raise ValueError(f"no request: {other}")
            stream.write(json.dumps(answer) + "\n")
            stream.flush()
    return None


def _leave(parent: int) -> None:
    """Be a process of its own, which dies with the nursery all the same."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # It died before the kernel knew that we care.
        os._exit(1)


def become(program: Program) -> None:
    """Never returns but by SystemExit or at the end of the module."""
    os.environ.clear()
    os.environ.update(program.environment)
    for path, standard in ((program.output, 1), (program.errors, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, standard)
        os.close(opened)
    os.chdir(program.directory)
    sys.argv[1:] = program.arguments
    runpy.run_module(program.module, run_name="__main__", alter_sys=True)


def main() -> None:
    for module in IMPORTED:
        importlib.import_module(module)
    # Nothing that is here already is garbage; the children share it with us for as long as they do not write to it.
    gc.collect()
    gc.freeze()
    program = serve(socket.socket(fileno=int(sys.argv[1])))
    if program is not None:
        become(program)


if __name__ == "__main__":
    main()
