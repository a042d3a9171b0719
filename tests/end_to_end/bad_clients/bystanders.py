"""Ann writes to Bob while others misbehave. Her messages stay quick, and the node's memory stays bounded."""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.end_to_end.bad_clients.gateway import Gateway
from tests.support.processes import CHECKOUT
from tests.support.waiting import PATIENCE_SECONDS

MEBIBYTE = 1024 * 1024
P99_SECONDS = 0.5
"""99 of 100 messages arrive within this time, without the time in which a process had no CPU."""
SLOWER = 10
"""On a machine that is slow or busy, messages may take this many times as long as before the misbehaviour."""


class Pair:
    """Ann and Bob, in the process of tests/end_to_end/pair.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def seconds(self, least: int, until: asyncio.Event | None = None) -> list[float]:
        """The seconds of each of the next messages: at least `least`, and more until the event is set."""
        assert self._process.stdout is not None
        seconds: list[float] = []
        while len(seconds) < least or (until is not None and not until.is_set()):
            async with asyncio.timeout(PATIENCE_SECONDS):
                line = await self._process.stdout.readline()
            assert line, "the process of the pair has ended"
            seconds.append(float(line))
        return seconds


@asynccontextmanager
async def pair_of(gateway: Gateway) -> AsyncIterator[Pair]:
    arguments = [str(part) for person in gateway.people(2) for part in person]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.end_to_end.pair",
        str(gateway.node.pid),
        gateway.node.socket_url,
        *arguments,
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Pair(process)
    finally:
        process.kill()
        await process.communicate()


@asynccontextmanager
async def nobody_else_is_harmed(gateway: Gateway, mebibytes: int = 48) -> AsyncIterator[None]:
    """Check that while the block lasts, other people's messages arrive in time and the node's memory stays bounded."""
    async with pair_of(gateway) as pair:
        before = await pair.seconds(20)
        memory = gateway.memory
        over = asyncio.Event()
        meanwhile = asyncio.create_task(pair.seconds(30, over))
        try:
            yield
        except BaseException:
            meanwhile.cancel()
            raise
        grown = gateway.memory - memory
        over.set()
        bound = max(P99_SECONDS, SLOWER * p99(before))
        assert p99(await meanwhile) < bound, (p99(before), sorted(meanwhile.result())[-5:])
        assert grown < mebibytes * MEBIBYTE, f"{grown / MEBIBYTE:.1f} MiB more"


def p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]
