"""Starts, awaits and ends child processes that never outlive their parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

GUARD = Path(__file__).with_name("guard.py")
POLL_SECONDS = 0.01


class ServerFailed(RuntimeError):
    """A server could not be started. The message is one line with the reason."""


def spawn(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals,
    user: str | None = None,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command that gets `death_signal` when this process dies, whatever the cause.

    The child has its own session: Ctrl-C at the terminal reaches only this process, which then ends its children in
    order. Call this on the main thread: Linux considers the parent dead when the *thread* that started the child ends.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start children on the main thread: they would die with any other thread")
    guard = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(int(death_signal)), user or "-"]
    return subprocess.Popen(
        [*guard, *map(str, command)],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=True,
    )


async def ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait until a process has ended. Returns False if it still runs after `seconds`."""
    return await happens(lambda: process.poll() is not None, seconds)


async def happens(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds. Returns False if it does not hold within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


async def stop(process: subprocess.Popen[bytes], *steps: tuple[signal.Signals, float]) -> None:
    """End a process: send each signal and wait its seconds; at last send SIGKILL."""
    for number, seconds in steps:
        if process.poll() is not None:
            return
        process.send_signal(number)
        if await ended(process, seconds):
            return
    process.kill()
    process.wait()
