"""`python -m tests.bench.alerts` measures how long it takes until people hear of a listing that matches their search.

An API, a gateway, Postgres with fsync, Redis and the clients share the machine's cores. People have 10,000 saved
searches and are all connected; ten listings are offered each second. The time of a match runs from the beginning of
the transaction that stored the listing to the event in the client, so it is a little longer than from the commit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime

import aiohttp
import uvloop

from api.schemas.saved_searches import filter_of
from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.postgres import Database, Statement
from shared.repositories.listing_search import ListingSearch
from shared.repositories.saved_searches import SavedSearchRepository
from shared.repositories.seed_listings import _CARS, ListingSeedRepository
from shared.settings import Settings
from tests.bench.stage import SECRET, stage
from tests.support.processes import Processes

PEOPLE = 500
SELLERS = 20
GOAL_SECONDS = 2.0
SAVING_AT_ONCE = 4


@dataclass
class Heard:
    """When matches arrived, in seconds after their listings were stored."""

    seconds: list[float] = field(default_factory=list)
    listings: set[int] = field(default_factory=set)


def a_query(chance: random.Random) -> dict[str, str]:
    """A search as people save it: most name a model, some only a make, few neither."""
    make, models = chance.choice(_CARS)
    model = chance.choice(models)
    price, year = str(chance.randrange(3_000, 30_000, 500)), str(chance.randrange(1995, 2022))
    kind = chance.random()
    if kind < 0.4:
        return {"q": f"{make} {model}", "price_max": price}
    if kind < 0.8:
        return {"make": make, "model": model, "year_min": year, "price_max": price}
    if kind < 0.97:
        return {"make": make, "year_min": year, "price_max": price, "mileage_max": "90000"}
    return {"year_min": "2018", "price_max": "4000"}


def a_listing(chance: random.Random, category_id: int) -> dict[str, object]:
    make, models = chance.choice(_CARS)
    model, year = chance.choice(models), chance.randrange(1995, 2024)
    return {
        "title": f"{year} {make} {model}",
        "content": "One owner, full service history, no accidents. " * chance.randrange(1, 30),
        "category_id": category_id,
        "make": make,
        "model": model,
        "year": year,
        "mileage": chance.randrange(0, 200_000),
        "price": chance.randrange(1_000, 40_000, 50),
    }


async def save(database: Database, people: Sequence[int], count: int, chance: random.Random) -> None:
    search = ListingSearch(database)
    searches = SavedSearchRepository(database, search.query)
    queries = iter([(people[number % len(people)], a_query(chance)) for number in range(count)])

    async def some() -> None:
        for user_id, query in queries:
            await searches.add(user_id, "Mine", query, filter_of(query), await searches.words(filter_of(query)))

    await asyncio.gather(*(some() for _ in range(SAVING_AT_ONCE)))


async def listen(client: aiohttp.ClientSession, url: str, user_id: int, token: str, heard: Heard) -> None:
    """Join the person's alerts and note what arrives, until it is cancelled."""
    async with client.ws_connect(url, params={"vsn": "2.0.0", "token": token}, max_msg_size=0) as socket:
        await socket.send_json(["1", "1", f"alerts:{user_id}", "phx_join", {"after_id": 0}])
        async for message in socket:
            now, frame = time.time(), json.loads(message.data)
            if frame[3] == "match":
                created_at = datetime.fromisoformat(frame[4]["listing"]["created_at"]).timestamp()
                heard.seconds.append(now - created_at)
                heard.listings.add(frame[4]["listing_id"])


async def main(searches: int, per_second: float, seconds: float, listings: int) -> None:
    chance = random.Random(1)
    async with stage() as made, AsyncExitStack() as stack:
        os.sched_setaffinity(0, made.server_core | made.load_core)
        url, redis_url = await made.database_url(), await made.redis_url()
        settings = Settings(
            database_url=url, redis_url=redis_url, jwt_secrets=(SECRET,), rate_limits=False, drain_seconds=0.1
        )
        owner = Database(Settings(database_url=made.owner_url, database_timeout_seconds=600.0))
        await ListingSeedRepository(owner).listings(listings)
        database = Database(replace(settings, database_timeout_seconds=60.0))
        people = list(range(1, PEOPLE + 1))
        began = time.monotonic()
        await save(database, people, searches, chance)
        saved = time.monotonic() - began
        print(f"{searches:,} searches of {PEOPLE} people saved in {saved:.0f} s, beside {listings:,} listings")
        processes = Processes(settings, made.directory, nursery=None)
        stack.push_async_callback(processes.stop)
        api, gateway = await processes.api(LOG_LEVEL="WARNING"), await processes.gateway(LOG_LEVEL="WARNING")
        tokens, heard = Tokens((SECRET,), 24 * 3600), Heard()
        client = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        sockets = [
            asyncio.create_task(
                listen(client, gateway.socket_url, user_id, tokens.issue(user_id, Role.USER, None), heard)
            )
            for user_id in people
        ]
        sellers = [tokens.issue(user_id, Role.USER, None) for user_id in range(PEOPLE + 1, PEOPLE + SELLERS + 1)]
        await asyncio.sleep(3)
        before = _cpu(api.pid)
        offers: list[asyncio.Task[None]] = []

        async def offer(number: int) -> None:
            headers = {"Authorization": f"Bearer {sellers[number % SELLERS]}"}
            async with client.post(f"{api.url}/api/listings", json=a_listing(chance, 1), headers=headers) as response:
                assert response.status == 201, await response.text()

        for number in range(int(seconds * per_second)):
            offers.append(asyncio.create_task(offer(number)))
            await asyncio.sleep(1 / per_second)
        await asyncio.gather(*offers)
        cpu = (_cpu(api.pid) - before) / seconds
        alerts = Statement("", "SELECT count(*), count(DISTINCT listing_id) FROM alerts")
        waiting = Statement("", "SELECT count(*) FROM listing_changes")
        for _ in range(300):
            [[left]], [[stored, told]] = await database.fetch(waiting), await database.fetch(alerts)
            if not left and len(heard.seconds) >= stored:
                break
            await asyncio.sleep(0.2)
        for socket in sockets:
            socket.cancel()
        await asyncio.gather(*sockets, return_exceptions=True)
        await database.close()
        await owner.close()
    ordered = sorted(heard.seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    print(f"{len(offers)} listings, {per_second:g} a second: {told} matched, {stored:,} alerts, {len(ordered):,} heard")
    met = "met" if p99 < GOAL_SECONDS else "MISSED"
    print(
        f"from the commit to the event: p50 {p50:.2f} s, p99 {p99:.2f} s, most {ordered[-1]:.2f} s"
        f" (goal: p99 under {GOAL_SECONDS:g} s, {met}); the API used {cpu:.0%} of a core"
    )


def _cpu(pid: int) -> float:
    """The CPU time that a process has used, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.alerts", description=__doc__)
    parser.add_argument("--searches", type=int, default=10_000)
    parser.add_argument("--per-second", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--listings", type=int, default=20_000)
    given = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    uvloop.run(main(given.searches, given.per_second, given.seconds, given.listings))
