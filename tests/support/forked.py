"""Starts processes of Daveslist by forking a nursery (tests/support/nursery.py), which the first of them starts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CHECKOUT = Path(__file__).parents[2]
POLL_SECONDS = 0.01
END_SECONDS = 60.0


class Nursery:
    """One for a test process. Whatever is left of what it started dies with `stop`, or with the test process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` is its own; what it starts is given another."""
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: Path,
        *,
        errors: Path | None = None,
        directory: Path = CHECKOUT,
    ) -> Forked:
        """`python -m MODULE ARGUMENT...` with this environment, in this directory.

        It appends what it writes to the file `output`, and errors to the file `errors` if that is given.
        """
        # The guard of tests/support/process_guard.py is told, because the nursery forks where it hears nothing.
        sys.audit("os.fork")
        errors = errors or output
        for file in (output, errors):
            file.touch()
        program = {
            "module": module,
            "arguments": list(arguments),
            "environment": dict(environment),
            "output": str(output),
            "errors": str(errors),
            "directory": str(directory),
        }
        return Forked(self, self.ask({"start": program}))

    def run(
        self, module: str, *arguments: str, environment: Mapping[str, str], directory: Path = CHECKOUT
    ) -> subprocess.CompletedProcess[str]:
        """`python -m MODULE ARGUMENT...`, run to its end."""
        with TemporaryDirectory() as folder:
            output, errors = Path(folder, "output"), Path(folder, "errors")
            process = self.start(module, arguments, environment, output, errors=errors, directory=directory)
            try:
                process.wait(END_SECONDS)
            finally:
                process.kill()
            code = process.wait()
            return subprocess.CompletedProcess([module, *arguments], code, output.read_text(), errors.read_text())

    def ask(self, request: Any) -> Any:
        connection = self._connection or self._begin()
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = connection.recv(4096)
            if not part:
                raise RuntimeError("the nursery of the tests has ended: see what it wrote")
            answer += part
        return json.loads(answer)

    def stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.wait()
        self._connection = self._process = None

    def _begin(self) -> socket.socket:
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.nursery", str(theirs.fileno())],
                cwd=CHECKOUT,
                env=self._environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self._connection


class Forked:
    """A process of the nursery, as subprocess.Popen would show it."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._nursery.ask({"poll": self.pid})
        return self.returncode

    def wait(self, seconds: float = float("inf")) -> int:
        """The exit code. Raises TimeoutError if the process runs for so many seconds more."""
        end = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"it still runs after {seconds} s")
            time.sleep(POLL_SECONDS)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Nothing where it has ended: its id stays its own until `poll` says so."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
