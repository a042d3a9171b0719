"""A process that is a worker, or waits to become one, as its parent sees it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from shared.workers.worker import ALIVE, EMPTY, LEAVE, LISTENING, READY

YOUNG_SECONDS = 1.0
"""A worker that ends this soon after it began to listen would probably only end again: the next one has to wait."""
READY_SECONDS = 60.0
"""A successor that is not ready within this time is given up, and the worker stays."""
SILENT_SECONDS = 10.0
"""A worker that has given no sign of life for this long is killed. Its clients have no answer from it meanwhile."""


class Child:
    """One process, and the parent's end of its link."""

    def __init__(self, command: Sequence[str]) -> None:
        """Raises OSError if the process cannot be started: no more processes, memory or descriptors."""
        self.link, theirs = socket.socketpair()
        self.link.setblocking(False)
        self._listening_since = math.inf
        self.number: int | None = None
        """The number of its place; None while it waits for work."""
        self.silent_for = 0.0
        """Seconds in which this parent ran, since it gave this process work or heard of it."""
        self.gives_signs = False
        """Whether it has given a sign of life."""
        self._has_empty_place = False
        self.is_listening, self.is_ready, self.has_ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", *command, "--worker", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    # Ctrl-C at a terminal reaches only the parent, which then ends its workers in order.
                    start_new_session=True,
                )
        except OSError:
            self.link.close()
            raise
        asyncio.get_running_loop().add_reader(self.link, self._read)

    def _read(self) -> None:
        try:
            told = self.link.recv(4096)
        except BlockingIOError:
            return
        except ConnectionError:
            told = b""
        if not told:
            asyncio.get_running_loop().remove_reader(self.link)
            return
        self.silent_for = 0.0
        if ALIVE in told and not self.gives_signs:
            self.gives_signs = True
            if self._has_empty_place:
                self.inherit()
        if LISTENING in told:
            self._listening_since = time.monotonic()
            self.is_listening.set()
        if READY in told:
            self.is_ready.set()

    def look(self) -> None:
        """See whether the process has ended."""
        if not self.has_ended.is_set() and self.process.poll() is not None:
            self.end()
            self.has_ended.set()

    def end(self) -> None:
        """Close the link: the process then stops, as if the parent had died."""
        if self.link.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.link)
            self.link.close()

    def kill(self) -> None:
        """End a process that has been given no work, at once: on a busy machine it may still be importing."""
        self.end()
        self.process.kill()

    def leave(self) -> None:
        """Tell the worker that its successor is ready: accept nothing more, and stop."""
        with contextlib.suppress(OSError):
            self.link.send(LEAVE)

    def inherit(self) -> None:
        """Tell a successor that the worker has died: nobody accepts connections in its place."""
        self._has_empty_place = True
        # It is told after its first sign, because a worker of 1.0.0, which gives none, would stop.
        if self.gives_signs:
            with contextlib.suppress(OSError):
                self.link.send(EMPTY)

    @property
    def may_be_silent_for(self) -> float:
        """Seconds. A worker that is silent for longer hangs."""
        if self.gives_signs:
            return SILENT_SECONDS
        # What it imports before its first sign takes long on a busy machine. A worker of this release gives that sign
        # before it listens; whoever listens without one is of 1.0.0, and gives none.
        return math.inf if self.is_listening.is_set() else READY_SECONDS

    @property
    def is_young(self) -> bool:
        """Whether it began to listen only just now, or not at all yet."""
        return time.monotonic() - self._listening_since < YOUNG_SECONDS

    @property
    def how_it_ended(self) -> str:
        code = self.process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
