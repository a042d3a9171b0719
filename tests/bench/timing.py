"""`python -m tests.bench.timing [--pairs 300]` measures whether the time of an answer tells who has an account.

A real API is asked in pairs, once about an account that exists and once about one that does not, in either order and
one request after the other. The medians of both must differ by at most 5 %: those of the CPU time of the API, which
hold on a busy machine too, and those of the time that the client waits. Registration is not here, because its answer
says itself that an address is taken.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

from api.mail_links import MailLinks, hash_of, new_seed
from shared.domain.mails import Purpose
from shared.settings import Settings
from tests.bench.stage import SECRET
from tests.support.client import PASSWORD, Rest
from tests.support.database import query
from tests.support.processes import Node, Processes
from tests.support.servers import running_servers

MOST_DIFFERENCE = 0.05
WARM_UP = 20
EXPIRED = """INSERT INTO mail_links (hash, user_id, purpose, expires_at, address)
             VALUES (%s, %s, %s, now() - interval '1 second', 'ann@example.com')"""

Body = dict[str, Any]


@dataclass(frozen=True)
class Route:
    """A route that somebody without a token may ask, and what it is asked about an account that exists, and not."""

    name: str
    path: str
    known: Callable[[], Body]
    unknown: Callable[[], Body]


def routes(settings: Settings, user_id: int, email: str) -> Iterator[Route]:
    numbers = itertools.count()
    links = MailLinks(settings)

    def nobody() -> str:
        return f"nobody{next(numbers)}@example.com"

    def log_in(address: str) -> Body:
        return {"email": address, "password": "wrong horse battery"}

    def expired(purpose: Purpose) -> str:
        seed = new_seed()
        query(settings.database_url, EXPIRED, hash_of(seed), user_id, purpose.value)
        return links.token(purpose, seed)

    def never_made(purpose: Purpose) -> str:
        return links.token(purpose, new_seed())

    def reset(token: str) -> Body:
        return {"token": token, "password": PASSWORD}

    yield Route("password/forgotten", "/api/password/forgotten", lambda: {"email": email}, lambda: {"email": nobody()})
    yield Route("login", "/api/login", lambda: log_in(email), lambda: log_in(nobody()))
    of_password, of_address = Purpose.PASSWORD_RESET, Purpose.ADDRESS
    yield Route(
        "password/reset",
        "/api/password/reset",
        lambda: reset(expired(of_password)),
        lambda: reset(never_made(of_password)),
    )
    yield Route(
        "address/confirm",
        "/api/address/confirm",
        lambda: {"token": expired(of_address)},
        lambda: {"token": never_made(of_address)},
    )


@dataclass
class Times:
    """Of each request: milliseconds of the API's CPU, and milliseconds that the client has waited."""

    cpu: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)


def compare(node: Node, route: Route, pairs: int) -> tuple[Times, Times]:
    """Returns the times of the account that exists, and of the one that does not."""
    connection = HTTPConnection("127.0.0.1", node.port)
    known, unknown = Times(), Times()
    # All are made before, so that the database has done the same before each request.
    asked = [
        (times, json.dumps(make()))
        for _ in range(WARM_UP + pairs)
        for times, make in random.sample(((known, route.known), (unknown, route.unknown)), 2)
    ]
    statuses = set()
    for times, body in asked:
        cpu, started = cpu_of(node.pid), time.perf_counter()
        connection.request("POST", route.path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        times.waited.append(1000 * (time.perf_counter() - started))
        times.cpu.append(cpu_of(node.pid) - cpu)
        statuses.add(response.status)
    connection.close()
    assert len(statuses) == 1, f"{route.name} answers {statuses}"
    for times in (known, unknown):
        del times.cpu[:WARM_UP], times.waited[:WARM_UP]
    return known, unknown


def cpu_of(pid: int) -> float:
    """Returns the milliseconds of CPU that the threads of a process have used (<linux/sched.h>)."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().partition(" ")[0]) for thread in threads) / 1e6


async def measure(settings: Settings, directory: Path, pairs: int) -> bool:
    """Print the medians of each route. Returns whether all of them are close enough."""
    processes = Processes(settings, directory, nursery=None)
    is_fine = True
    try:
        node = await processes.api()
        async with Rest(node.url) as rest:
            ann = await rest.register("Ann")
        for route in routes(settings, ann.id, ann.email):
            known, unknown = await asyncio.to_thread(compare, node, route, pairs)
            for name in ("cpu", "waited"):
                one, other = median(getattr(known, name)), median(getattr(unknown, name))
                is_close = abs(one / other - 1) <= MOST_DIFFERENCE
                is_fine = is_fine and is_close
                goal = f"goal: at most {MOST_DIFFERENCE:.0%}, {'met' if is_close else 'MISSED'}"
                medians = f"known {one:7.3f} ms  unknown {other:7.3f} ms  difference {one / other - 1:+.1%}"
                print(f"{route.name:<20} {name:<6}  {medians} ({goal})", flush=True)
    finally:
        await processes.stop()
    return is_fine


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.timing", description="Compares times of answers.")
    parser.add_argument("--pairs", type=int, default=300, help="for each route (default: %(default)s)")
    pairs = parser.parse_args(arguments).pairs
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="daveslist-timing-")))
        servers = stack.enter_context(running_servers())
        settings = Settings(
            database_url=stack.enter_context(servers.database()),
            redis_url=stack.enter_context(servers.empty_redis()),
            jwt_secrets=(SECRET,),
            data_directory=directory / "data",
            rate_limits=False,
        )
        return 0 if asyncio.run(measure(settings, directory, pairs)) else 1


if __name__ == "__main__":
    sys.exit(main())
