"""A worker's side of its link to the parent: what it is told to serve, and what it tells.

The link is a pair of connected sockets. The parent's first message has the worker's number and the sockets on which it
listens. The worker gives a sign of life every second. If the link ends, the parent has died: the worker then gives up
its sockets, for a parent that may come, and stops as after SIGTERM.

After an upgrade on disk and SIGHUP, the parent still has the code of the release before, and after a rollback that of
the later one. So each side ignores what it does not know, and has a default for what the other one does not tell.
A worker of 1.0.0 stops whatever the parent tells it after the first message.
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

from shared.logs import log_of
from shared.workers.sockets import pause

log = log_of(__name__)

_MOST_BYTES = 65536
_MOST_SOCKETS = 64
LISTENING, READY, ALIVE = b"listening\n", b"ready\n", b"alive\n"
"""What a worker tells its parent."""
LEAVE, EMPTY = b"leave\n", b"empty\n"
"""What a parent tells a worker: that its successor is ready, and that the worker that it was to replace has died."""
SIGN_SECONDS = 1.0
"""How often a worker gives a sign of life."""
EMPTY_SECONDS = 1.0
"""A worker in an empty place that does not listen after this time lets others have the place's connections."""


class Worker:
    """This process, as one of several on a port."""

    def __init__(
        self,
        link: socket.socket,
        number: int,
        count: int,
        folder: Path,
        sockets: list[socket.socket],
        *,
        is_successor: bool = False,
    ) -> None:
        self.number = number
        """From 1 on. A successor has the number of the worker that it replaces."""
        self.count = count
        """How many workers there are on the port."""
        self.folder = folder
        """A folder that only the workers of this parent use."""
        self.sockets = sockets
        """On these the worker listens."""
        self.is_successor = is_successor
        """Whether there was a worker to replace, which accepts connections on the same sockets, when this one began."""
        self.is_replaced = False
        """Whether a successor already accepts connections on the same sockets."""
        self.shows_all = not is_successor
        """Whether the place is this worker's: before, its predecessor's gauges are shown, and not its own."""
        self.is_orphan = False
        """Whether the parent has died."""
        self._link = link
        self._letting_go: asyncio.TimerHandle | None = None
        self._has_started = False

    def watch(self, stop: Callable[[], None]) -> None:
        """Call `stop` when a successor is ready, or when the parent has died; give signs of life. Needs a running loop.

        Call this at the begin of the start, which may have to wait, for Postgres for example.
        """
        loop = asyncio.get_running_loop()
        loop.add_reader(self._link, self._read, stop)
        self._give_sign(loop)
        if not self.is_successor:
            self._let_go_soon()

    def is_about_to_listen(self) -> None:
        """The start did not have to wait for anything, or not any more. Call this before the sockets listen."""
        self._has_started = True
        if self._letting_go is not None:
            self._letting_go.cancel()

    def _let_go_soon(self) -> None:
        """Nobody accepts connections in this place: let others have them if the start takes longer."""
        if not self._has_started and self._letting_go is None:
            self._letting_go = asyncio.get_running_loop().call_later(EMPTY_SECONDS, self._let_go)

    def _let_go(self) -> None:
        # Only this process knows whether the sockets listen because it does, or because the dead one before did.
        if pause(self.sockets):
            log.warning("others get the connections of this place", worker=self.number)

    def _give_sign(self, loop: asyncio.AbstractEventLoop) -> None:
        self._tell(ALIVE)
        loop.call_later(SIGN_SECONDS, self._give_sign, loop)

    def _read(self, stop: Callable[[], None]) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                told = self._link.recv(_MOST_BYTES)
            except ConnectionError:
                told = b""
            if not told:
                self.is_orphan = True
                asyncio.get_running_loop().remove_reader(self._link)
                # The parent can no longer do it.
                shutil.rmtree(self.folder, ignore_errors=True)
                stop()
            elif LEAVE in told:
                self.is_replaced = True
                stop()
            elif EMPTY in told:
                self.shows_all = True
                self._let_go_soon()

    def is_listening(self) -> None:
        """Tell the parent that this worker accepts connections."""
        self.is_about_to_listen()
        self._tell(LISTENING)

    def is_ready(self) -> None:
        """Tell the parent that this worker can serve: the worker that it replaces may end."""
        self.shows_all = True
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
    for each in sockets:
        # A child of this worker would keep the port open, and not accept what comes.
        each.set_inheritable(False)
    folder = Path(work["folder"])
    # A parent of 1.0.0 does not say it. A successor must not shut the sockets on which its predecessor still listens.
    is_successor = work.get("is_successor", True)
    return Worker(link, work["number"], work["count"], folder, sockets, is_successor=is_successor)


def assign(
    link: socket.socket, *, number: int, count: int, folder: Path, sockets: list[socket.socket], is_successor: bool
) -> None:
    """The parent's end of `assigned`."""
    told = {"number": number, "count": count, "folder": str(folder), "is_successor": is_successor}
    work = json.dumps(told).encode()
    socket.send_fds(link, [work], [each.fileno() for each in sockets])
