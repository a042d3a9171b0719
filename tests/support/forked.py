"""Starts processes of Daveslist by forking a nursery (tests/support/nursery.py). The first start starts the nursery."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CHECKOUT = Path(__file__).parents[2]
POLL_SECONDS = 0.01
END_SECONDS = 60.0


class Nursery:
    """Starts processes. Those that still run are killed by `stop`, or when the test process ends."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` is the environment of the nursery itself, not of the processes that it starts."""
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._asking = threading.Lock()

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
        """Start `python -m MODULE ARGUMENT...` with this environment, in this directory.

        Its output is appended to the file `output`, and its errors to the file `errors` if that is given.
        """
        # ProcessGuard cannot see the fork in the nursery's process, so it is told here.
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
        """Run `python -m MODULE ARGUMENT...` to its end."""
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
        # A test may run a command in a thread while it starts another process.
        with self._asking:
            connection = self._connection or self._begin()
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                part = connection.recv(4096)
                if not part:
                    raise RuntimeError("the nursery of the tests has ended: see its output")
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
    """A process of the nursery, with the interface of subprocess.Popen."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        if self.returncode is None:
            self.returncode = self._nursery.ask({"poll": self.pid})
        return self.returncode

    def wait(self, seconds: float = float("inf")) -> int:
        """Wait for the end, and return the exit code. Raises TimeoutError if the process still runs after `seconds`."""
        end = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"it still runs after {seconds} s")
            time.sleep(POLL_SECONDS)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal if the process still runs. Its pid cannot be reused before `poll` has returned an exit code."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
