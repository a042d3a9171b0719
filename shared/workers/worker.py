"""A worker's side of its link to the parent: what it is told to serve, and what it tells.

The link is a pair of connected sockets. The parent's first message has the worker's number and the sockets on which it
listens. If the link ends, the parent has died: the worker then stops as after SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

_MOST_BYTES = 65536
_MOST_SOCKETS = 64
LISTENING, READY, LEAVE = b"listening\n", b"ready\n", b"leave\n"


class Worker:
    """This process, as one of several on a port."""

    def __init__(
        self, link: socket.socket, number: int, count: int, folder: Path, sockets: list[socket.socket]
    ) -> None:
        self.number = number
        """From 1 on. A successor has the number of the worker that it replaces."""
        self.count = count
        """How many workers there are on the port."""
        self.folder = folder
        """A folder that only the workers of this parent use."""
        self.sockets = sockets
        """On these the worker listens."""
        self.is_replaced = False
        """Whether a successor already accepts connections on the same sockets."""
        self._link = link

    def watch(self, stop: Callable[[], None]) -> None:
        """Call `stop` when a successor is ready, or when the parent has died. Needs a running loop."""
        asyncio.get_running_loop().add_reader(self._link, self._read, stop)

    def _read(self, stop: Callable[[], None]) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                told = self._link.recv(_MOST_BYTES)
            except ConnectionError:
                told = b""
            if told:
                self.is_replaced = LEAVE in told
            else:
                asyncio.get_running_loop().remove_reader(self._link)
                # The parent can no longer do it.
                shutil.rmtree(self.folder, ignore_errors=True)
            stop()

    def is_listening(self) -> None:
        """Tell the parent that this worker accepts connections."""
        self._tell(LISTENING)

    def is_ready(self) -> None:
        """Tell the parent that this worker can serve: the worker that it replaces may end."""
        self._tell(READY)

    def _tell(self, message: bytes) -> None:
        # If the parent has died, `_read` finds out.
        with contextlib.suppress(OSError):
            self._link.send(message)


def assigned(descriptor: int) -> Worker | None:
    """Wait until the parent at the other end of this descriptor has work. Returns None if it has none and ends."""
    # For all workers at once, the parent decides what this signal means.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    link = socket.socket(fileno=descriptor)
    link.set_inheritable(False)
    try:
        told, descriptors, _, _ = socket.recv_fds(link, _MOST_BYTES, _MOST_SOCKETS)
    except (ConnectionError, KeyboardInterrupt):
        told, descriptors = b"", []
    if not told:
        link.close()
        return None
    link.setblocking(False)
    work = json.loads(told)
    sockets = [socket.socket(fileno=each) for each in descriptors]
    return Worker(link, work["number"], work["count"], Path(work["folder"]), sockets)


def assign(link: socket.socket, *, number: int, count: int, folder: Path, sockets: list[socket.socket]) -> None:
    """The parent's end of `assigned`."""
    work = json.dumps({"number": number, "count": count, "folder": str(folder)}).encode()
    socket.send_fds(link, [work], [each.fileno() for each in sockets])
