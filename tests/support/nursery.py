"""A process that has imported Daveslist, and forks whenever a test needs a process of Daveslist.

    python -m tests.support.nursery FILE_DESCRIPTOR

Importing everything takes most of a CPU second, and a run of the tests starts hundreds of processes. What an API makes
once for its life takes another one: the OpenAPI document, the page's files and the table of places. A forked process
has all that already, and starts at once. It runs its module from the top as `python -m` does, with its own environment,
output and session. `tests/support/forked.py` is at the other end of the socket: a request is one line of JSON, and so
is its answer. When the socket is closed, the nursery ends, and the kernel ends all processes that it forked.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import importlib.metadata
import json
import os
import runpy
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from typing import Any, NoReturn

from aiohttp.web import UrlDispatcher

from api.app import document_of
from api.assets.files import assets
from api.routes import PAGE_ROUTES, ROUTES
from shared import places
from shared.settings import Settings

IMPORTED = ("api.commands", "api.server", "gateway.server", "shared.start", "tests.lab.node", "uvloop")
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@dataclass(frozen=True, slots=True)
class Program:
    """A call of `python -m MODULE ARGUMENT...`."""

    module: str
    arguments: list[str]
    environment: dict[str, str]
    output: str
    errors: str
    """The files `output` and `errors` exist already; the process appends to them."""
    directory: str


def serve(connection: socket.socket) -> Program | None:
    """Answer requests until the socket is closed. In a forked process, return the program that it has to run."""
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
                    raise ValueError(f"not a request: {other}")
            stream.write(json.dumps(answer) + "\n")
            stream.flush()
    return None


def _leave(parent: int) -> None:
    """Start a new session, and ask the kernel to kill this process when the nursery ends."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # The nursery ended before the kernel was asked.
        os._exit(1)


def become(program: Program) -> int:
    """Run the program in this process. Returns its exit code, unless it ends by another exception than SystemExit."""
    os.environ.clear()
    os.environ.update(program.environment)
    for path, standard in ((program.output, 1), (program.errors, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, standard)
        os.close(opened)
    os.chdir(program.directory)
    sys.argv[1:] = program.arguments
    try:
        runpy.run_module(program.module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        return end.code or 0
    return 0


def leave(code: int) -> NoReturn:
    """End this process as Python does, but do not free all that the nursery had imported.

    To free it, the process would copy the memory that it shares with the nursery, and that takes as long as the start.
    Cycles that the program has left are collected, so that Python still warns of coroutines that nobody awaited.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    for module in IMPORTED:
        importlib.import_module(module)
    document_of(Settings())
    assets(Settings())
    places.load()
    # The expressions of the routes, and the place of the metadata that the Redis client reads, stay in Python's caches.
    router = UrlDispatcher()
    for route in (*ROUTES, *PAGE_ROUTES):
        router.add_resource(route.path)
    importlib.metadata.version("redis")
    # The collector need not look at these objects again. The children share their memory until somebody writes to it.
    gc.collect()
    gc.freeze()
    program = serve(socket.socket(fileno=int(sys.argv[1])))
    if program is not None:
        leave(become(program))


if __name__ == "__main__":
    main()
