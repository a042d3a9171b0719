"""Real processes for tests: APIs, gateway nodes and lab nodes, each on a free port. They are ended by their ids."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import aiohttp

from development import child
from shared.settings import Settings
from tests.support.address import Listening
from tests.support.forked import Forked, Nursery
from tests.support.ports import free_port

CHECKOUT = Path(__file__).parents[2]
READY_SECONDS = 120.0
"""It ends a test whose process never becomes ready. A parent of workers imports everything once for itself and once for
the first worker, before that one listens; on a machine with ten processes for each core, that takes more than 30 s."""
STOP_SECONDS = 45.0
"""A gateway drains for ten seconds by itself, and several workers of tests share two cores."""


def base_environment() -> dict[str, str]:
    """The variables of this environment that any process needs. None of them configures Daveslist."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START")
    return {"PYTHONUNBUFFERED": "1", **{name: os.environ[name] for name in kept if name in os.environ}}


NURSERY = Nursery(base_environment())


class ProcessFailed(AssertionError):
    """A process ended or did not become ready. The message contains its output."""


class Node(Listening):
    """One running process that listens on `port`."""

    def __init__(self, name: str, process: subprocess.Popen[bytes] | Forked, port: int, output: Path) -> None:
        self.name = name
        self.port = port
        self._process = process
        self._output = output

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        return self._process.poll()

    def output(self) -> str:
        """The output so far, with errors."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    async def ended(self, seconds: float = STOP_SECONDS) -> int:
        """Wait until the process has ended by itself, and return its exit code."""
        if not await child.happens(lambda: not self.is_running, seconds):
            raise ProcessFailed(f"{self.name} still runs after {seconds} s; its output:\n{self.output()}")
        return self._process.wait()

    async def stop(self) -> int:
        """Send SIGTERM, and wait. A process that does not end is killed, and the test fails."""
        if self.is_running:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                return await self.ended()
            finally:
                self.kill()
        return self._process.wait()


class Processes:
    """Starts processes with a test's settings, and ends those that are left."""

    def __init__(
        self, settings: Settings, directory: Path, checkout: Path = CHECKOUT, *, nursery: Nursery | None = NURSERY
    ) -> None:
        """Logs go into `directory`; the processes run the code of `checkout`.

        Without a nursery, and with another checkout or Python, each process imports everything itself.
        """
        self.settings = settings
        self._nursery = nursery
        self.directory = directory
        self._checkout = checkout
        self._nodes: list[Node] = []

    async def api(self, **environment: str) -> Node:
        """Start `python -m api`, and wait until it is ready. The keywords are additional environment variables."""
        port = free_port()
        given = {"API_PORT": str(port), **environment}
        return await self.start("api", port=port, environment=given, ready="/health/ready")

    async def gateway(self, **environment: str) -> Node:
        """Start `python -m gateway`, and wait until it is ready."""
        port = free_port()
        given = {"GATEWAY_PORT": str(port), **environment}
        return await self.start("gateway", port=port, environment=given, ready="/health/ready")

    async def lab(self, *arguments: str) -> Node:
        """Start `python -m tests.lab`, and wait until it listens."""
        port = free_port()
        return await self.start("tests.lab", "--port", str(port), *arguments, port=port)

    async def start(
        self,
        module: str,
        *arguments: str,
        port: int,
        environment: Mapping[str, str] | None = None,
        ready: str = "",
        python: str | Path = sys.executable,
        has_settings: bool = True,
    ) -> Node:
        """Start `python -m MODULE ARGUMENT...`; wait until the port accepts and the path `ready`, if given, is 200.

        Without `has_settings` the process knows only what the environment that is given here says.
        """
        name = f"{module}-{port}"
        path = self.directory / f"{name}.log"
        of_settings = environment_of(self.settings) if has_settings else {}
        given = {**base_environment(), **of_settings, **(environment or {})}
        process: subprocess.Popen[bytes] | Forked
        if self._nursery is not None and self._checkout == CHECKOUT and python == sys.executable:
            process = self._nursery.start(module, arguments, given, path)
        else:
            with path.open("ab") as output:
                process = child.spawn(
                    [python, "-m", module, *arguments],
                    death_signal=signal.SIGKILL,
                    directory=self._checkout,
                    environment=given,
                    output=output,
                )
        node = Node(name, process, port, path)
        self._nodes.append(node)
        await _ready(node, ready)
        return node

    async def again(self, node: Node) -> Node:
        """Start a gateway or an API that has ended again, on the same port."""
        module = node.name.rpartition("-")[0]
        given = {f"{module.upper()}_PORT": str(node.port)}
        return await self.start(module, port=node.port, environment=given, ready="/health/ready")

    async def stop(self) -> None:
        """End the processes that still run: send SIGTERM to all, the last started first, and then wait for each."""
        told = [asyncio.create_task(node.stop()) for node in reversed(self._nodes)]
        self._nodes.clear()
        outcomes = await asyncio.gather(*told, return_exceptions=True)
        failures = [str(outcome) for outcome in outcomes if isinstance(outcome, ProcessFailed)]
        if failures:
            raise ProcessFailed("\n".join(failures))
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome


async def _ready(node: Node, path: str) -> None:
    try:
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as client:
            while node.is_running:
                try:
                    if not path:
                        _, writer = await asyncio.open_connection("127.0.0.1", node.port)
                        writer.close()
                        await writer.wait_closed()
                        return
                    async with client.get(node.url + path) as response:
                        if response.status == 200:
                            return
                except (OSError, aiohttp.ClientError):
                    pass
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise ProcessFailed(f"{node.name} was not ready after {READY_SECONDS} s; it wrote:\n{node.output()}") from None
    raise ProcessFailed(f"{node.name} ended with {node.exit_code}; it wrote:\n{node.output()}")


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment variables from which `Settings.from_environment` reads exactly these settings."""
    return {setting.name.upper(): _text(getattr(settings, setting.name)) for setting in fields(settings)}


def _text(value: object) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)
