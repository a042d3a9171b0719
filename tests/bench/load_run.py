"""Runs the load generator and reads what it measured."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

LIMIT_SECONDS = 150.0


class LoadFailed(RuntimeError):
    """The load generator failed. The message is its output."""


class Latency(msgspec.Struct, frozen=True):
    """Durations in milliseconds; -1 if none was measured."""

    count: int
    p50: float
    p99: float
    max: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one run. Times are in seconds. `server_cpu` is the nodes' CPU time, `own_cpu` the generator's."""

    seconds: float
    sent: int
    replies: int
    errors: int
    deliveries: int
    joined: int
    lost: int
    caught_up: int
    reply_ms: Latency
    delivery_ms: Latency
    crossing_ms: Latency
    join_ms: Latency
    own_cpu: float
    server_cpu: float


@dataclass(frozen=True)
class Generator:
    """Starts the compiled load generator. `tokens` is the file with the tokens of its users."""

    program: Path
    tokens: Path

    async def start(self, mode: str, ports: Sequence[int], pids: Sequence[int] = (), **options: Any) -> Run:
        """Start a run. `options` are those of load.c; an option without a value is True."""
        given = {"mode": mode, "ports": _list(ports), "tokens": self.tokens, "cpu": _list(pids), **options}
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not True]
        arguments += [f"--{name.replace('_', '-')}" for name, value in given.items() if value is True]
        process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return Run(process)

    async def measure(self, mode: str, ports: Sequence[int], pids: Sequence[int] = (), **options: Any) -> Measured:
        """Run the generator to its end, and return its results."""
        async with await self.start(mode, ports, pids, **options) as run:
            return await run.result()


class Run:
    """One process of the generator. It is ended with the `async with` block."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __aenter__(self) -> Run:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(5.0):
                await self._process.wait()
        except (TimeoutError, asyncio.CancelledError):
            self._process.kill()
            await self._process.wait()
            raise

    async def line(self) -> str:
        """Wait for the next line that the generator prints. Raises LoadFailed."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(LIMIT_SECONDS):
            line = await self._process.stdout.readline()
            if line:
                return line.decode().strip()
            raise LoadFailed((await self._process.stderr.read()).decode().strip() or "it printed nothing")

    async def until(self, word: str) -> None:
        while await self.line() != word:
            pass

    async def result(self) -> Measured:
        while True:
            line = await self.line()
            if line.startswith("{"):
                measured = msgspec.json.decode(line, type=Measured)
                if measured.errors:
                    raise LoadFailed(f"{measured.errors} pushes were answered with an error")
                return measured


def _list(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))
