"""Claims a data directory for one `make run`, and tells other commands where its servers are (shared/running.py)."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from shared.running import LOCK, RUNNING, Running, read_running

PATIENCE = 20


class AlreadyRunning(RuntimeError):
    """Another `make run` uses the data directory. The message is one line."""


class Claim:
    """The right to run on a data directory: a lock, which the kernel releases when this process dies."""

    def __init__(self, data_directory: Path) -> None:
        self._data_directory = data_directory
        self._descriptor = -1

    def __enter__(self) -> Claim:
        """Take the lock. Raises AlreadyRunning."""
        self._data_directory.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._data_directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        for _ in range(PATIENCE):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)  # The holder may be `find_running`, which checks the lock by taking it.
        else:
            os.close(self._descriptor)
            raise AlreadyRunning(_who(self._data_directory))
        (self._data_directory / RUNNING).unlink(missing_ok=True)  # The file of a `make run` that was killed.
        return self

    def announce(self, running: Running) -> None:
        """Let other commands find the servers. Only this user may read the file: a database URL may have a password."""
        path = self._data_directory / RUNNING
        unfinished = path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(running), file)
        unfinished.rename(path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self._data_directory / RUNNING).unlink(missing_ok=True)
        os.close(self._descriptor)


def _who(data_directory: Path) -> str:
    running = read_running(data_directory)
    where = f"process {running.pid}, {running.api_url}" if running else "it is starting or stopping"
    return f"Daveslist already runs on {data_directory} ({where})"
