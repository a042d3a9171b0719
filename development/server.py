"""The base of the development servers: each is one child process, which can be started repeatedly."""

from __future__ import annotations

import subprocess


class Server:
    """A server, started by the subclass's `start`. `_process` is set while it should run."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the server's process; for Postgres, of the postmaster."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End the server as a crash would, for tests. `start` may follow."""
        assert self._process is not None, "not started"
        self._process.kill()
        self._process.wait()
