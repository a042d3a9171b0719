"""What embedded servers have in common: each is one child process, which may be started again and again."""

from __future__ import annotations

import subprocess


class Server:
    """A server that `start` of its class may start; `_process` is there while it is to run."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that was started: of Postgres the postmaster."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """As a crash would end it, for tests of what follows. `start` again afterwards."""
        assert self._process is not None, "not started"
        self._process.kill()
        self._process.wait()
