"""Workers on one port, seen from outside: who they are, what their page says, and whether anybody is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families

from development.child import happens
from tests.support.patience import Patience
from tests.support.processes import Node

SOON = 60.0
REPLACED_SECONDS = 1.0
"""After this time, another worker serves in the place of one that died."""

Page = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def begun(parent: Node) -> dict[int, list[int]]:
    """The process ids of all workers that have begun, in order, by the number of their place."""
    found: dict[int, list[int]] = {}
    for line in logged(parent, "a worker begins"):
        found.setdefault(int(str(line["worker"])), []).append(int(str(line["pid"])))
    return found


def logged(parent: Node, event: str) -> list[dict[str, object]]:
    """The log lines about an event."""
    lines = [json.loads(line) for line in parent.output().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def page(parent: Node) -> Page:
    """The metrics, read over a new connection."""
    async with aiohttp.ClientSession() as client, client.get(f"{parent.url}/metrics") as response:
        text = await response.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def values(found: Page, name: str) -> dict[str, float]:
    """The values of a metric by worker, added up over its other labels."""
    sums: dict[str, float] = {}
    for (sample, labels), value in found.items():
        if sample == name:
            worker = dict(labels)["worker"]
            sums[worker] = sums.get(worker, 0.0) + value
    return sums


async def all_up(parent: Node) -> Page:
    """Wait until every worker is on the page, and return it."""
    async with asyncio.timeout(SOON):
        while True:
            found = await page(parent)
            if all(values(found, "daveslist_worker_up").values()):
                return found
            await asyncio.sleep(0.05)


async def counted(parent: Node, name: str) -> Page:
    """Wait until the page shows that some worker's count of this is more than 0, and return it."""
    async with asyncio.timeout(SOON):
        while True:
            found = await page(parent)
            if any(values(found, name).values()):
                return found
            await asyncio.sleep(0.05)


def living(parent: Node) -> set[int]:
    """The ids of the processes that the parent has started and that still run: workers, and the one that waits."""
    return {child.pid for child in psutil.Process(parent.pid).children(recursive=True)}


async def one_waits(parent: Node) -> int:
    """Wait until a process has imported everything and waits to take the place of a worker. Returns its id."""
    before = (0, "")
    async with asyncio.timeout(SOON):
        while True:
            waiting = living(parent) - {pids[-1] for pids in begun(parent).values()}
            now = (0, "")
            if len(waiting) == 1:
                [pid] = waiting
                # The times in which it has run, and has waited for a CPU.
                now = (pid, Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").strip())
                if now == before:
                    return pid
            before = now
            await asyncio.sleep(0.3)


async def replaced(parent: Node, path: str) -> tuple[float, float]:
    """Kill the first worker. Returns the seconds until its replacement has answered a new connection, and those that
    are allowed: one, and the time in which processes waited for a CPU."""
    successor = await one_waits(parent)
    killed = begun(parent)[1][-1]
    patience = Patience(REPLACED_SECONDS, [os.getpid(), parent.pid, *living(parent)])
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{parent.port}\r\n\r\n".encode()
    end(killed, signal.SIGKILL)
    async with asyncio.timeout(SOON):
        while True:
            # The other worker answers some of these. A connection that the dead one had accepted is reset.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", parent.port)
                writer.write(request)
                answer = await reader.readuntil(b"\r\n")
                seconds = time.monotonic() - patience.began_at
                is_its = _serves(successor, writer.get_extra_info("sockname"))
                writer.close()
                if is_its and answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204")):
                    return seconds, patience.allowed


def _serves(pid: int, client: tuple[str, int]) -> bool:
    """Whether the process has the other end of this client's connection."""
    return any(tuple(each.raddr) == client for each in psutil.Process(pid).net_connections("tcp"))


async def all_ended(pids: set[int]) -> bool:
    """Wait until none of the processes runs. Returns False if one still does."""
    return await happens(lambda: not any(map(_runs, pids)), SOON)


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@dataclass
class Visits:
    """What became of the connections that were tried."""

    served: int = 0
    failed: list[str] = field(default_factory=list)


@asynccontextmanager
async def visitors(parent: Node, path: str, count: int = 4) -> AsyncIterator[Visits]:
    """While this lasts, some visitors connect again and again, each time with one request."""
    visits = Visits()
    enough = asyncio.Event()
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{parent.port}\r\nConnection: close\r\n\r\n".encode()

    async def visit() -> None:
        while not enough.is_set():
            try:
                async with asyncio.timeout(SOON):
                    reader, writer = await asyncio.open_connection("127.0.0.1", parent.port)
                    writer.write(request)
                    answer = await reader.read()
                    writer.close()
            except (OSError, TimeoutError) as error:
                visits.failed.append(repr(error))
                continue
            if answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204")):
                visits.served += 1
            else:
                visits.failed.append(repr(answer[:100]))
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(visit())
        try:
            yield visits
        finally:
            enough.set()


async def more_served(visits: Visits, count: int) -> None:
    """Wait until so many more connections have been served."""
    goal = visits.served + count
    assert await happens(lambda: visits.served >= goal, SOON)


def end(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)
