"""The base of the embedded servers: each is one child process, which may be started again and again."""

from __future__ import annotations

import subprocess


class Server:
    """A server; `start` of the subclass starts it. `_process` is set as long as it is meant to run."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the process that was started; for Postgres, that of the postmaster."""
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
