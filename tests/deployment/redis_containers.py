"""Runs the services of Redis without an engine: each by its command and environment, in a folder of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from development import child
from development.redis import program
from tests.deployment.composefile import environment
from tests.deployment.test_compose import CHECKOUT
from tests.support.ports import free_port, is_free

BUS = 10_000
"""The servers of a cluster talk to each other on a port that is higher by this."""

VALKEY_CLI = """#!{python} -IS
import socket, sys
words = [word for word in sys.argv[1:] if word != "--raw"]
def show(stream):
    line = stream.readline().decode().strip()
    kind, rest = line[0], line[1:]
    if kind == "*":
        for _ in range(int(rest)):
            show(stream)
    elif kind == "$" and int(rest) >= 0:
        print(stream.read(int(rest) + 2).decode()[:-2])
    else:
        print(rest)
try:
    with socket.create_connection((words[1], int(words[3])), 1) as there, there.makefile("rb") as answers:
        for command in [" ".join(words[4:])] if words[4:] else sys.stdin:
            there.sendall(command.strip().encode() + b"\\r\\n")
            show(answers)
except OSError as error:
    sys.exit(str(error))
"""
"""What the scripts use of valkey-cli: the wheel of the tests' Redis has only the server."""


class RedisContainers:
    """The services with these names. They have ports of this machine in the place of addresses in a network."""

    def __init__(
        self, directory: Path, services: Mapping[str, Any], passwords: Mapping[str, str], names: Iterable[str]
    ) -> None:
        self._directory = directory
        self._services = services
        self._programs = directory / "bin"
        self._programs.mkdir()
        (self._programs / "valkey-server").symlink_to(program())
        cli = self._programs / "valkey-cli"
        cli.write_text(VALKEY_CLI.format(python=sys.executable), encoding="utf-8")
        cli.chmod(0o755)
        for name, secret in passwords.items():
            (directory / name).write_text(f"{secret}\n", encoding="utf-8")
        self.ports = {name: _port() for name in names}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def here(self, text: str) -> str:
        """Put this machine's names and ports in place of those in the network of the containers."""
        names = "|".join(sorted(self.ports, key=len, reverse=True))
        text = re.sub(f"({names}):\\d+", lambda match: f"localhost:{self.ports[match[1]]}", text)
        return text.replace("/run/secrets", str(self._directory))

    def folder(self, name: str) -> Path:
        return self._directory / name

    def output(self, name: str) -> str:
        return (self.folder(name) / "output").read_text(errors="replace")

    def start(self, name: str) -> None:
        """Start a server or sentinel, or a script that ends."""
        folder = self.folder(name)
        folder.mkdir(exist_ok=True)
        service = self._services[name]
        shell, script, *options = service["command"]
        script = script.replace("/etc/daveslist", str(CHECKOUT / "deploy" / "redis"))
        if name in self.ports:
            options += ["--port", str(self.ports[name]), "--bind", "127.0.0.1"]
        given = {key: self.here(value) for key, value in environment(service, {}).items()}
        with (folder / "output").open("ab") as output:
            self.running[name] = child.spawn(
                ["/bin/" + shell, script, *options],
                death_signal=signal.SIGKILL,
                directory=folder,
                environment={"PATH": f"{self._programs}:{os.defpath}", **given},
                output=output,
            )

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self.running[name].wait()

    async def stop(self) -> None:
        await asyncio.gather(*(child.stop(one, (signal.SIGTERM, 5.0)) for one in self.running.values()))


def _port() -> int:
    while True:
        port = free_port()
        if is_free(port + BUS):
            return port
