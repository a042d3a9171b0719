"""`python -m tests.bench.sitemaps` measures the most memory that an API needs while all sitemaps of a million listings
are read: one after the other, and four at once.

The listings have only what sitemaps need, so that making them takes a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import psutil
import uvloop

from shared.postgres import Database, Statement
from shared.repositories.sitemap import FILE_IDS
from shared.settings import Settings
from tests.bench.settings import measured
from tests.support.processes import Node, Processes
from tests.support.roles import as_owner
from tests.support.servers import Servers, running_servers

MOST_MEGABYTES = 150
_BATCH = 100_000
_INDEXES = Statement(
    "",
    """SELECT indexrelid::regclass::text FROM pg_index
       WHERE indrelid = 'listings'::regclass AND NOT indisunique AND NOT indisprimary""",
)
_SELLER = Statement(
    "", "INSERT INTO users (name, email, password_hash) VALUES ('Ann', 'ann@example.com', '') RETURNING id"
)
_CATEGORY = Statement("", "INSERT INTO categories (name, visibility) VALUES ('Sedans', 'public') RETURNING id")
_LISTINGS = Statement(
    "",
    """INSERT INTO listings (seller_id, category_id, title, content)
       SELECT %s, %s, 'Volkswagen Golf', 'Runs.' FROM generate_series(1, %s)""",
)


async def seed(url: str, count: int) -> None:
    """Add listings, as the database's owner, without the indexes and triggers of searches."""
    owner = await Database.connect(Settings(database_url=as_owner(url), database_timeout_seconds=3600.0))
    try:
        for (name,) in await owner.fetch(_INDEXES):
            await owner.execute(Statement("", f"DROP INDEX {name}"))
        await owner.execute(Statement("", "ALTER TABLE listings DISABLE TRIGGER USER"))
        [[seller]], [[category]] = await owner.fetch(_SELLER), await owner.fetch(_CATEGORY)
        for first in range(0, count, _BATCH):
            await owner.execute(_LISTINGS, seller, category, min(_BATCH, count - first))
        await owner.execute(Statement("", "ANALYZE listings"))
    finally:
        await owner.close()


class Memory:
    """The resident memory of a process, in bytes: now, and the most while a block runs."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._task: asyncio.Task[None] | None = None
        self.most = 0

    def now(self) -> int:
        return int(self._process.memory_info().rss)

    async def __aenter__(self) -> Memory:
        self.most = self.now()
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            self.most = max(self.most, self.now())
            await asyncio.sleep(0.005)


async def read(client: aiohttp.ClientSession, addresses: Sequence[str], at_once: int) -> int:
    """Read all files without keeping them. Returns the number of addresses in them."""
    found, waiting = 0, list(addresses)

    async def reader() -> None:
        nonlocal found
        while waiting:
            async with client.get(waiting.pop(0)) as response:
                assert response.status == 200, await response.text()
                end = b""
                async for piece in response.content.iter_any():
                    found += (end + piece).count(b"<loc>")
                    # An element may be split between two pieces.
                    end = (end + piece)[-4:]

    await asyncio.gather(*(reader() for _ in range(at_once)))
    return found


async def measure(api: Node, count: int) -> None:
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{api.url}/sitemap.xml") as response:
            addresses = re.findall("<loc>(.+?)</loc>", await response.text())
        assert len(addresses) >= count / FILE_IDS
        memory = Memory(api.pid)
        print(f"{count:,} listings in {len(addresses)} sitemaps; the API has {memory.now() / 1e6:.0f} MB before")
        for at_once in (1, 4):
            started = time.perf_counter()
            async with memory:
                found = await read(client, addresses, at_once)
            assert found >= count, f"{found:,} addresses"
            met = "met" if memory.most < MOST_MEGABYTES * 1e6 else "MISSED"
            print(
                f"  {at_once} at once: at most {memory.most / 1e6:.0f} MB (goal: under {MOST_MEGABYTES}, {met}); "
                f"{found:,} addresses in {time.perf_counter() - started:.0f} s"
            )


async def main(servers: Servers, count: int) -> None:
    directory = Path(tempfile.mkdtemp(prefix="daveslist-bench-"))
    try:
        with servers.database() as url:
            started = time.perf_counter()
            await seed(url, count)
            print(f"{count:,} listings made in {time.perf_counter() - started:.0f} s")
            processes = Processes(measured(url, servers.redis.url, directory), directory, nursery=None)
            try:
                await measure(await processes.api(), count)
            finally:
                await processes.stop()
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sitemaps", description="Measures memory.")
    parser.add_argument("--listings", type=int, default=1_000_000)
    given = parser.parse_args()
    with running_servers() as running:
        uvloop.run(main(running, given.listings))
