"""Pushes and connects on other Python servers, compared with the gateway, which also joins, and with bare aiohttp.

Each answers the same frames with the same bytes, by msgspec, on uvloop and without compression. The part is optional:
its packages are in an environment of their own.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.compiler import CannotBench
from tests.bench.load_run import LoadFailed, Measured
from tests.bench.rounds import Effort, Rates, interleaved
from tests.bench.stage import Stage
from tests.bench.table import Row, ratio, thousands
from tests.support.address import Listening

PYTHON = Path(sys.prefix) / "peers" / "bin" / "python"
"""The Python of the peers' environment, which is a folder of this one."""
GATEWAY, BARE = "the gateway", "bare aiohttp"
PEERS = {"picows": "picows_echo", "websockets": "websockets_echo", "Starlette on uvicorn": "starlette_echo"}
"""The names of the servers, and their modules in `tests/bench/peers`."""
PACKAGES = ("picows", "websockets", "starlette", "uvicorn")
VERSIONS = f"""
import {", ".join(PACKAGES)}
print(", ".join(f"{{package.__name__}} {{package.__version__}}" for package in ({", ".join(PACKAGES)})))
"""
WINDOWS = (1, 8)
"""The number of unanswered pushes on a connection."""
CONNECTS = 2_000
PUSH = '["1","2","lab:room:bench","echo",{"body":"Is it still there? \\u20ac"}]'
REPLY = '["1","2","lab:room:bench","phx_reply",{"response":{"body":"Is it still there? €"},"status":"ok"}]'
ANSWER_SECONDS = 10.0


def versions() -> str:
    """The packages with their versions. Raises CannotBench if one is missing."""
    if not PYTHON.exists():
        raise CannotBench("the part `peers` needs packages of its own: run `make bench-peers`")
    done = subprocess.run([PYTHON, "-c", VERSIONS], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        raise CannotBench(f"the packages of the part `peers` are incomplete ({reason}): run `make bench-peers`")
    return done.stdout.strip()


async def run(stage: Stage, effort: Effort) -> AsyncIterator[Row]:
    yield Row(what=versions(), value="")
    async with stage.nodes() as nodes:
        servers = {GATEWAY: await nodes.lab(), BARE: await nodes.bare()}
        for name, module in PEERS.items():
            servers[name] = await nodes.bare(f"peers.{module}", PYTHON)
        for name in (BARE, *PEERS):
            await check(servers[name])

        async def measured(mode: str, **options: Any) -> dict[str, list[Measured]]:
            turns: dict[str, Callable[[], Awaitable[Measured]]] = {
                name: partial(stage.load, mode, server, **options, **({} if name == GATEWAY else {"no_join": True}))
                for name, server in servers.items()
            }
            return await interleaved(effort.rounds, turns)

        for window in WINDOWS:
            runs = await measured("push", users=100, window=window, seconds=effort.seconds)
            for row in _rows(f"push -> reply, {window} in flight", runs, lambda run: run.replies):
                yield row
        for row in _rows("connect", await measured("connect", users=CONNECTS), lambda run: run.joined):
            yield row


async def check(server: Listening) -> None:
    """Raises LoadFailed if the server answers a push otherwise than the others do."""
    url = f"{server.socket_url}?token=any&vsn=2.0.0"
    async with asyncio.timeout(ANSWER_SECONDS), aiohttp.ClientSession() as client, client.ws_connect(url) as socket:
        await socket.send_str(PUSH)
        answer = (await socket.receive()).data
    if answer != REPLY:
        raise LoadFailed(f"the server on port {server.port} answered {answer!r} instead of {REPLY!r}")


def _rows(what: str, runs: dict[str, list[Measured]], count: Callable[[Measured], int]) -> Iterator[Row]:
    rates = {name: Rates(measured, count) for name, measured in runs.items()}
    for name, these in rates.items():
        times = f"x the gateway's CPU {ratio(these.costs, rates[GATEWAY].costs):.2f}"
        yield Row(
            what=f"{what}: {name}",
            value=f"{thousands(these.per_second)}/s",
            cost=these.cost,
            load=these.load,
            compared="" if name == GATEWAY else times,
        )
