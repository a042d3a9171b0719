"""Runs nginx with the deployment's own configuration; the tests change only the ports of nginx and of the processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from development import child
from tests.support.address import Listening
from tests.support.certificate import Certificate, make_certificate
from tests.support.ports import free_port
from tests.support.scratch import scratch_directory
from tests.support.waiting import PATIENCE_SECONDS

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx"
LOG_SECONDS = 10.0


def find_nginx() -> str | None:
    """The path of nginx; None if there is none. Debian puts it into a folder that is only in root's PATH."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


class Nginx(Listening):
    """One running nginx; `output` is the whole text that it wrote."""

    def __init__(self, directory: Path, port: int, process_id: int, plain_port: int) -> None:
        self.port = port
        self.plain_port = plain_port
        self.directory = directory
        self.process = psutil.Process(process_id)

    def output(self) -> str:
        return (self.directory / "output").read_text(encoding="utf-8")

    def bytes_in_files(self) -> int:
        """What nginx keeps of bodies in files below its folder, which is in memory. It removes their names at once."""
        found = 0
        for process in [self.process, *self.process.children(recursive=True)]:
            for name in os.listdir(f"/proc/{process.pid}/fd"):
                path = f"/proc/{process.pid}/fd/{name}"
                if os.path.exists(path) and os.readlink(path).startswith(f"{self.directory}/body/"):
                    found += os.stat(path).st_size
        return found

    async def logged(self, path: str, count: int) -> list[dict[str, Any]]:
        """The log lines of at least `count` requests for a path; nginx logs a request when it has ended."""
        assert await child.happens(lambda: len(self._log(path)) >= count, LOG_SECONDS), self.output()
        return self._log(path)

    def _log(self, path: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]
        return [line for line in lines if line["path"] == path]


@asynccontextmanager
async def running_nginx(program: str, ports: Mapping[str, int], *, with_tls: bool = False) -> AsyncIterator[Nginx]:
    """Run nginx. `ports` maps each process in upstreams.conf to its port here: `{"gateway-1:4000": 12345, ...}`.

    With TLS it listens as with compose.tls.yaml, with a certificate that it signed itself, and at `plain_port` without.
    """
    with scratch_directory() as directory:
        port = free_port()
        settings = directory / "settings"
        shutil.copytree(CONFIGURATION, settings)
        upstreams = (settings / "upstreams.conf").read_text(encoding="utf-8")
        for name, there in ports.items():
            assert name in upstreams
            upstreams = upstreams.replace(f"server {name} ", f"server 127.0.0.1:{there} ")
        assert "-1:" not in upstreams
        (settings / "upstreams.conf").write_text(upstreams, encoding="utf-8")
        plain_port = port
        listen = f"listen 127.0.0.1:{port};\n"
        if with_tls:
            plain_port = free_port()
            listen = _listen_with_tls(settings, make_certificate(directory), port, plain_port)
        (settings / "listen.conf").write_text(listen, encoding="utf-8")
        # nginx and its children append to this file, as to a log.
        with (directory / "output").open("ab") as output:
            command: list[str | Path] = [program, "-p", directory, "-c", settings / "nginx.conf", "-g", "daemon off;"]
            process = child.spawn(command, death_signal=signal.SIGTERM, output=output)
        nginx = Nginx(directory, port, process.pid, plain_port)
        try:
            is_up = await child.happens(lambda: process.poll() is not None or _accepts(port), PATIENCE_SECONDS)
            assert is_up, "nginx did not start"
            assert process.poll() is None, nginx.output()
            yield nginx
        finally:
            await child.stop(process, (signal.SIGTERM, PATIENCE_SECONDS))


def _listen_with_tls(settings: Path, certificate: Certificate, port: int, plain_port: int) -> str:
    """The file that compose.tls.yaml mounts, with the ports and files of this machine."""
    text = (settings / "listen_tls.conf").read_text(encoding="utf-8")
    for there, here in (
        # Debian's nginx is older than the directive `http2`, and every nginx still knows this word.
        ("listen 8443 ssl;", f"listen 127.0.0.1:{port} ssl http2;"),
        ("listen 8080;", f"listen 127.0.0.1:{plain_port};"),
        ("listen [::]:8443 ssl;\n", ""),
        ("listen [::]:8080;\n", ""),
        ("http2 on;\n", ""),
        ("/run/secrets/tls_certificate", str(certificate.chain)),
        ("/run/secrets/tls_key", str(certificate.key)),
    ):
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    return text


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
