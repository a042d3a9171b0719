"""`python -m tests.bench.api` compares the API's listings with a bare handler of the same SQL, and the pages with the
API's answers that they show; and it times the searches.

The API or the bare handler runs alone on core 0; Postgres and the load share core 1. The two are measured in turns, and
the best round of each counts, because other work on the machine only makes a round slower. Pages and answers are
compared by the API's CPU time for one request: that ratio holds also on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import aiohttp
import psutil
import uvloop

from development.postgres import OWNER, EmbeddedPostgres
from shared.access.actor import Actor
from shared.domain.cars import Colour, Fuel, TitleStatus
from shared.domain.geography import Point
from shared.domain.listings import ListingFilter, Sort
from shared.postgres import Database, Statement
from shared.postgres.schema import apply_schema
from shared.repositories.listing_search import ListingSearch
from shared.repositories.listing_ways import Position, Search
from shared.repositories.listings import JOINED, front_page_statement
from shared.repositories.seed import SeedRepository
from shared.repositories.seed_listings import ListingSeedRepository
from shared.repositories.visibility import FOR_ANYONE, Viewer
from shared.settings import Settings
from tests.bench.settings import measured
from tests.support.ports import free_port
from tests.support.processes import CHECKOUT, Node, Processes
from tests.support.roles import as_owner
from tests.support.servers import Servers, run, running_servers

CONNECTIONS = 32
USERS = 10_000
SEARCHES = {
    "newest page": "/api/listings",
    "category by price": "/api/listings?category_id=1&sort=price",
    "toyota camry": "/api/listings?q=toyota+camry",
    "toyta camry": "/api/listings?q=toyta+camry",
    "toyta, by price": "/api/listings?q=toyta&sort=price",
    "911": "/api/listings?q=911",
    "vw golf": "/api/listings?q=vw+golf",
    "mercedes c class": "/api/listings?q=mercedes+c+class",
    "trucks, 320 d": "/api/listings?q=trucks+320+d",
    "camry austin": "/api/listings?q=camry+austin",
    "a word of one": "/api/listings?q=offer+4711",
    "unfinished": "/api/listings?q=toy+cam",
    "many words": "/api/listings?q=white+toyota+camry+one+owner+new+tyres+leather+seats+in+boston",
    "no match": "/api/listings?q=toyota+civic+xyzzy",
    "rare together": "/api/listings?q=porsche&year_min=2025&price_max=400",
    "q, rare, by price": "/api/listings?q=sunroof&make=Audi&model=TT&year_max=1991&sort=price",
    "fiftieth page, q": "/api/listings?q=toyota&cursor={fiftieth_of_q}",
    "q, filters, -price": "/api/listings?q=honda+civic&year_min=2008&price_max=12000&sort=-price",
    "fiftieth page": "/api/listings?cursor={fiftieth}",
    "rare facts together": "/api/listings?fuel=lpg,cng&colour=orange&title_status=salvage&doors=2&sort=price",
    "facts and a range": "/api/listings?fuel=diesel&body=suv&power_kw_min=200&price_max=900&sort=mileage",
    "nearest": "/api/listings?near=Omaha&sort=distance",
    "within 50 miles": "/api/listings?near=78701&within=50mi&fuel=diesel&sort=-year",
    "rare words together": "/api/listings?q=toyota+camry+austin",
    "frequent words together": "/api/listings?q=one+owner+diesel+toyota",
    "few facts, no match": "/api/listings?owners_max=1&year_max=1991",
    "rare filters, no match": "/api/listings?q=sunroof&make=Audi&model=TT&year_max=1991&fuel=diesel&doors=2&sort=price",
    "nearest of a rare kind": "/api/listings?near=30.2,-97.7&within=2000km&fuel=lpg&doors=2&colour=beige&sort=distance",
}
SUGGESTIONS = {
    "suggestions": "/api/suggestions?q=to",
    "suggestions, cor": "/api/suggestions?q=cor",
}
TOYOTA = {"q": "toyota"}
FACETS = {
    "facets": "/api/listings/facets",
    "facets of a make": "/api/listings/facets?make=toyota",
    "facets of words": "/api/listings/facets?q=sunroof&price_max=5000",
    "facets with filters": "/api/listings/facets?fuel=diesel&body=suv&colour=red&doors=5",
    "facets near a town": "/api/listings/facets?near=Austin&within=50mi&transmission=manual",
}
PAGES = {
    "a car": ("/listings/{id}", "/api/listings/{id}"),
    "a search": ("/?price_max={id}", "/api/listings?limit=24&price_max={id}"),
    "a seller": ("/?seller_id={seller}", "/api/listings?limit=24&seller_id={seller}"),
}
"""Pages, each beside the answer of the API that it shows."""
MANY_PAGES = 5000
KEPT = 200
"""So many of them are asked of an API that keeps them all."""
_ON_SHOW = Statement(
    "",
    f"SELECT l.id, l.seller_id FROM {JOINED} WHERE l.status = 'available' AND {FOR_ANYONE} ORDER BY l.id DESC LIMIT %s",
)
_END = Statement("", "UPDATE listings SET expires_at = now() WHERE mod(abs(hashint8(id)), 1000) < %s")
GZIP = "Accept-Encoding: gzip"
FEW = 20_000
"""With at most so many listings, facets have to be faster."""
PLANNED: dict[str, tuple[ListingFilter, Sort]] = {
    "category by price": (ListingFilter(category_id=1), Sort.CHEAPEST),
    "toyta camry": (ListingFilter(q="toyta camry"), Sort.RELEVANCE),
    "vw golf": (ListingFilter(q="vw golf"), Sort.RELEVANCE),
    "q, filters, -price": (ListingFilter(q="honda civic", year_min=2008, price_max=12_000), Sort.DEAREST),
    "rare facts together": (
        ListingFilter(fuel=(Fuel.LPG,), colour=(Colour.ORANGE,), title_status=(TitleStatus.SALVAGE,)),
        Sort.CHEAPEST,
    ),
    "nearest": (ListingFilter(near=Point(41.26, -95.94)), Sort.NEAREST),
    "within 50 miles": (
        ListingFilter(near=Point(30.27, -97.74), within=80_000.0, fuel=(Fuel.DIESEL,)),
        Sort.YOUNGEST,
    ),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second, and percentiles of their duration in milliseconds."""

    per_second: float
    p50: float
    p99: float
    requests: float


async def measure(origin: str, paths: Sequence[str], seconds: float, header: str = "") -> Rate:
    """Measure with wrk if it is installed, else with tests.bench.http_load, on this process's cores."""
    if shutil.which("wrk"):
        return await _wrk(origin, paths, seconds, header)
    command = [sys.executable, "-m", "tests.bench.http_load", origin, "--header", header]
    command += ["--connections", str(CONNECTIONS), "--seconds", str(seconds)]
    output = json.loads(await _run(command, "\n".join(paths)))
    if output["failures"]:
        raise SystemExit(f"{output['failures']:.0f} answers had another status than 200")
    return Rate(output["per_second"], output["p50_ms"], output["p99_ms"], output["requests"])


async def _wrk(origin: str, paths: Sequence[str], seconds: float, header: str) -> Rate:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        quoted = ", ".join(f'"{path}"' for path in paths)
        script.write(f"local paths, n = {{{quoted}}}, 0\n")
        script.write('request = function() n = n % #paths + 1 return wrk.format("GET", paths[n]) end\n')
        script.write("done = function(s, l, r) print('RESULT ' .. s.requests / s.duration * 1e6 .. ' ' ..\n")
        script.write("  l:percentile(50) / 1e3 .. ' ' .. l:percentile(99) / 1e3 .. ' ' .. s.errors.status ..\n")
        script.write("  ' ' .. s.requests) end\n")
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", script.name, origin]
        command += ["-H", header] if header else []
        found = re.search(r"RESULT (\S+) (\S+) (\S+) (\S+) (\S+)", await _run(command, ""))
    if found is None or float(found[4]):
        raise SystemExit("wrk: answers had another status than 200")
    return Rate(float(found[1]), float(found[2]), float(found[3]), float(found[5]))


async def _run(command: Sequence[str], given: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=CHECKOUT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(given.encode())
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return output.decode()


async def beside_bare(api: Node, bare: Node, paths: Sequence[str], goal: float, seconds: float, rounds: int) -> None:
    """Print the API's rate, the bare handler's rate, and their ratio."""
    ours: list[Rate] = []
    theirs: list[Rate] = []
    for _ in range(rounds):
        ours.append(await measure(api.url, paths, seconds))
        theirs.append(await measure(bare.url, paths, seconds))
    mine, bares = max(ours, key=lambda rate: rate.per_second), max(theirs, key=lambda rate: rate.per_second)
    print(f"GET {paths[0]}{' and the like' if len(paths) > 1 else ''}, {CONNECTIONS} connections")
    for name, rate in (("api", mine), ("bare", bares)):
        print(f"  {name:5}{rate.per_second:9,.0f}/s   p50 {rate.p50:6.2f} ms   p99 {rate.p99:6.2f} ms")
    ratio, p99 = mine.per_second / bares.per_second, mine.p99 / bares.p99
    print(f"  ratio {ratio:.2f} (goal 0.7), p99 ratio {p99:.2f} (goal 1.3), goal {goal:,.0f}/s")


async def pages_beside_answers(
    api: Node, forgetful: Node, found: Sequence[tuple[int, int]], seconds: float, rounds: int
) -> None:
    """Print how fast pages are, beside the answers that they show. `found` has ids of listings and of their sellers.

    `forgetful` keeps no pages, so each is rendered anew.
    """
    print(
        f"pages beside the answers that they show, {MANY_PAGES} each, {KEPT} of those kept, {CONNECTIONS} connections"
    )
    before_all = _memory(api.pid)
    for name, kinds in PAGES.items():
        shown, answers = ([kind.format(id=one, seller=seller) for one, seller in found] for kind in kinds)
        ways = {
            "rendered": (forgetful, shown, ""),
            "rendered, gzip": (forgetful, shown, GZIP),
            "kept": (api, shown[:KEPT], ""),
            "kept, gzip": (api, shown[:KEPT], GZIP),
            "api": (api, answers, ""),
        }
        cpu: dict[str, list[float]] = {which: [] for which in ways}
        rates: dict[str, list[float]] = {which: [] for which in cpu}
        for header in ("", GZIP):
            await measure(api.url, shown[:KEPT], seconds, header)
        for _ in range(rounds):
            for which, (node, paths, header) in ways.items():
                before = _cpu(node.pid)
                rate = await measure(node.url, paths, seconds, header)
                cpu[which].append((_cpu(node.pid) - before) / rate.requests)
                rates[which].append(rate.per_second)
        for which in cpu:
            ratio = median(theirs / mine for mine, theirs in zip(cpu[which], cpu["api"], strict=True))
            compared = "" if which == "api" else f"   ratio {ratio:.2f} (goal 0.5)"
            print(
                f"  {name}: {which:15}{max(rates[which]):9,.0f}/s {median(cpu[which]) * 1e6:8,.0f} us of CPU{compared}"
            )
    print(f"  memory of the API that keeps pages: {before_all:.0f} MB before, {_memory(api.pid):.0f} MB after")


def _memory(pid: int) -> float:
    """Returns the resident memory of a process, in MB."""
    return float(psutil.Process(pid).memory_info().rss / 1e6)


def _cpu(pid: int) -> float:
    """Returns the CPU time of a process so far, in seconds."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def _fiftieth(client: aiohttp.ClientSession, api: Node, query: Mapping[str, str]) -> str:
    """Returns the cursor of the fiftieth page, or of the last one before it."""
    cursor = ""
    for _ in range(49):
        params = {**query, "cursor": cursor} if cursor else query
        async with client.get(api.url + "/api/listings", params=params) as answer:
            cursor = (await answer.json())["next_cursor"] or cursor
    return cursor


async def searches(api: Node, repeats: int, listings: int) -> None:
    """Print p50 and p95 of each search, with one HTTP request at a time."""
    async with aiohttp.ClientSession() as client:
        cursors = {"fiftieth": await _fiftieth(client, api, {}), "fiftieth_of_q": await _fiftieth(client, api, TOYOTA)}
        print(f"searches, {repeats} times each")
        goals = {**dict.fromkeys(SEARCHES, 50), **dict.fromkeys(FACETS, 50 if listings <= FEW else 150)}
        goals |= dict.fromkeys(SUGGESTIONS, 10)
        for name, path in (SEARCHES | FACETS | SUGGESTIONS).items():
            url = api.url + path.format(**cursors)
            times = []
            for _ in range(repeats):
                started = time.perf_counter()
                async with client.get(url) as answer:
                    told = await answer.json()
                    found = told["total"] if name in FACETS else len(told["data"])
                times.append((time.perf_counter() - started) * 1000)
            times.sort()
            print(
                f"  {name:23} p50 {times[len(times) // 2]:7.2f} ms   p95 {times[int(len(times) * 0.95)]:7.2f} ms"
                f"   ({found} found; goal: p95 under {goals[name]} ms)"
            )


async def plans(database: Database) -> None:
    """Print the plan of every statement that the searches run, and the sequential scans in them."""
    visitor: Actor | None = None
    ran: list[Search] = []
    search = ListingSearch(database, ran.append)
    explained: list[tuple[str, Statement, tuple[object, ...]]] = []
    front_page = re.sub(r"\$\d", "%s", front_page_statement(21).sql)
    row = await database.fetch_one(Statement("", "SELECT coalesce(max(id), 0) FROM listings"))
    assert row is not None
    explained.append(("newest page", Statement("", front_page), (2**63 - 1, 2**63 - 1)))
    explained.append(("fiftieth page", Statement("", front_page), (row[0] - 49 * 20, 0)))
    for name, (wanted, sort) in PLANNED.items():
        ran.clear()
        await search.find(wanted, sort, Viewer.of(visitor), after=None, limit=21)
        explained += [(name, one.statement, one.parameters) for one in ran]
    sequential = []
    for name, statement, parameters in explained:
        sql = f"EXPLAIN (ANALYZE, BUFFERS) {statement.sql}"
        lines = await database.fetch(Statement("", sql, first=statement.first), *parameters)
        print(f"plan: {name}")
        for (line,) in lines:
            print(f"    {line[:160]}")
            if "Seq Scan" in line:
                sequential.append(f"{name}: {line.strip()}")
    print("sequential scans: " + ("; ".join(sequential) or "none"))


@contextmanager
def kept_database(folder: Path) -> Iterator[str]:
    """The URL of a database in this folder, for the processes' role. The folder stays."""
    postgres = EmbeddedPostgres(folder, options={"autovacuum": "off", "synchronous_commit": "off"})
    try:
        run(postgres.start())
        run(apply_schema(Settings(database_url=postgres.url(role=OWNER))))
        yield postgres.url()
    finally:
        run(postgres.stop())


async def seed(settings: Settings, count: int, ended: float) -> None:
    """Add listings, as the database's owner, unless there are some; this share of them has ended."""
    owner = await Database.connect(settings)
    try:
        if await owner.fetch_one(Statement("", "SELECT FROM listings LIMIT 1")) is not None:
            return
        started = time.perf_counter()
        await SeedRepository(owner).users(USERS, "no hash")
        await ListingSeedRepository(owner).listings(count)
        if ended:
            await owner.execute(_END, round(1000 * ended))
            await owner.execute(Statement("", "VACUUM (ANALYZE) listings"))
        print(f"{count:,} listings seeded in {time.perf_counter() - started:.0f} s")
    finally:
        await owner.close()


async def main(given: argparse.Namespace) -> None:
    directory = Path(tempfile.mkdtemp(prefix="daveslist-bench-"))
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        servers: Servers = given.servers
        url = given.database_url or stack.enter_context(servers.database())
        settings = replace(
            measured(url, servers.redis.url, directory),
            # All searches come from one address; those of the load before may still wait.
            max_waiting_searches=8 * CONNECTIONS,
            database_timeout_seconds=3600.0,
        )
        if given.keep or not given.database_url:
            await seed(replace(settings, database_url=as_owner(url)), given.listings, given.ended)
        database = await Database.connect(settings)
        processes = Processes(settings, directory, nursery=None)
        try:
            api = await processes.api()
            port = free_port()
            bare = await processes.start(
                "tests.bench.bare_listings", "--port", str(port), "--database-url", url, port=port
            )
            forgetful = await processes.api(KEPT_PAGES_BYTES="1")
            for node in (api, forgetful, bare):
                os.sched_setaffinity(node.pid, {cores[0]})
            found = await ListingSearch(database).find(
                ListingFilter(), Sort.NEWEST, Viewer.of(None), after=Position(2**63 - 1, 2**63 - 1), limit=1000
            )
            on_show = await database.fetch(_ON_SHOW, MANY_PAGES)
            await pages_beside_answers(api, forgetful, on_show, given.seconds, given.rounds)
            if given.only_pages:
                return
            await beside_bare(api, bare, ["/api/listings?limit=20"], 4400, given.seconds, given.rounds)
            one = [f"/api/listings/{position.id}" for position in found.positions]
            await beside_bare(api, bare, one, 6200, given.seconds, given.rounds)
            await searches(api, given.repeats, given.listings)
            await plans(database)
        finally:
            await processes.stop()
            await database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--listings", type=int, default=20_000, help="how many to seed; the goals are for 1,000,000")
    parser.add_argument("--ended", type=float, default=0.0, help="the share that has ended, from 0 to 1")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=100, help="of each search")
    parser.add_argument("--only-pages", action="store_true", help="only the pages beside the API's answers")
    parser.add_argument("--database-url", default="", help="a database that is seeded already")
    parser.add_argument("--keep", type=Path, help="a folder for the database, which later runs find as it is")
    arguments = parser.parse_args()
    with ExitStack() as resources:
        arguments.servers = resources.enter_context(running_servers())
        if arguments.keep:
            arguments.database_url = resources.enter_context(kept_database(arguments.keep))
        uvloop.run(main(arguments))
