"""`python -m tests.bench [--quick] [PART...]` starts servers, measures them, and prints a table. `make bench` runs it.

Nodes run on the first core; the load, Postgres and Redis run on the second. Things that are compared are measured in
turns within seconds. A ratio is computed for each round from the servers' CPU time for one operation, and the table has
the median of the rounds. So the ratios hold also on a busy machine, but the numbers a second do not. The parts `peers`
and `nginx` run only if they are named; `make bench-peers` installs the packages of the first and runs it.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence

from tests.bench.compiler import CannotBench, compiled
from tests.bench.load_run import LoadFailed
from tests.bench.parts import (
    broadcast,
    catch_up,
    connect,
    crossing,
    memory,
    nginx,
    peers,
    persisted,
    pooler,
    push,
    rolling,
    workers,
)
from tests.bench.rounds import FULL, QUICK, Effort
from tests.bench.stage import Stage, stage
from tests.bench.table import HEAD, WIDTHS, Row, line

Part = Callable[[Stage, Effort], AsyncIterator[Row]]

PARTS: dict[str, Part] = {
    "push": push.run,
    "connect": connect.run,
    "broadcast": broadcast.run,
    "persisted": persisted.run,
    "pooler": pooler.run,
    "memory": memory.run,
    "nginx": nginx.run,
    "crossing": crossing.run,
    "workers": workers.run,
    "rolling": rolling.run,
    "catch_up": catch_up.run,
    "peers": peers.run,
}
OPTIONAL: dict[str, Callable[[], object]] = {"nginx": nginx.program, "peers": peers.versions}
"""The parts that run only if they are named. The function raises CannotBench if what the part needs is not there."""
API = "tests.bench.api"
"""The part that measures REST. It is a separate program."""
PAGE = "tests.bench.page"
"""The part that measures how the page loads. It is a separate program, too."""
QUICK_API = ("--seconds", "1", "--rounds", "1", "--repeats", "20")


async def measure(names: Sequence[str], effort: Effort) -> None:
    started = time.monotonic()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _interrupt, asyncio.current_task())
    async with stage() as on:
        moment = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        print(f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {moment}")
        print(f"\n{line(*HEAD)}\n{line(*('-' * width for width in WIDTHS))}", flush=True)
        for name in names:
            async for row in PARTS[name](on, effort):
                print(row, flush=True)
    print(f"\n{time.monotonic() - started:.0f} s", flush=True)


def _interrupt(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(entry.partition(":")[2].strip() for entry in lines if entry.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measures the gateway, the page, the API."
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"one of: {', '.join([*PARTS, 'page', 'api'])}; if none is given, all but {', '.join(OPTIONAL)}",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    given = parser.parse_args(arguments)
    unknown = set(given.parts) - {*PARTS, "page", "api"}
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    names = [name for name in PARTS if name in given.parts or not (given.parts or name in OPTIONAL)]
    try:
        for name in OPTIONAL.keys() & names:
            OPTIONAL[name]()
        compiled()
        if names:
            asyncio.run(measure(names, QUICK if given.quick else FULL))
    except (CannotBench, LoadFailed) as failure:
        print(f"python -m tests.bench: {failure}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted", file=sys.stderr)
        return 130
    if not given.parts or "page" in given.parts:
        sys.stdout.flush()
        # A machine without a browser or nginx says so, and measures the rest.
        subprocess.run([sys.executable, "-m", PAGE, *(("--no-lighthouse",) if given.quick else ())], check=False)
    if (not given.parts or "api" in given.parts) and importlib.util.find_spec(API) is not None:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", API, *(QUICK_API if given.quick else ())])
    return 0


if __name__ == "__main__":
    sys.exit(main())
