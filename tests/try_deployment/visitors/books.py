"""Describes the content of the database and the pictures, to compare it before a backup and after its restore."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import psycopg2.errors

from tests.support.database import query
from tests.try_deployment.visitors.crowd import APIS, NGINX, Crowd, browser

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
LIVE = {"nodes", "looked_at"}
"""Tables that running processes change by themselves: their reports, and how far they have looked for news."""


async def census(crowd: Crowd, pictures: list[str]) -> dict[str, Any]:
    """Rows and a digest of each table, the listings as the API shows them, and a digest of each picture."""
    return {
        "tables": await asyncio.to_thread(_tables, crowd.settings.database_url),
        "listings": await _listings(),
        "pictures": await digests(pictures),
    }


def _tables(database_url: str) -> dict[str, Any]:
    names = [name for (name,) in query(database_url, TABLES) if name not in LIVE]
    found = {}
    for name in names:
        sql = f"SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {name} t"
        [(count, digest)] = query(database_url, sql)
        found[name] = [count, digest]
    return found


async def _listings() -> Any:
    async with browser() as client, client.get(f"{NGINX}/api/listings") as response:
        assert response.status == 200
        return await response.json()


async def digests(paths: list[str]) -> dict[str, str]:
    """The digest of each picture. Checks that both APIs and nginx answer with the same picture."""
    found = {}
    async with browser() as client:
        for path in paths:
            read = set()
            for url in (*APIS, NGINX):
                async with client.get(url + path) as response:
                    assert response.status == 200, f"{url}{path}: {response.status}"
                    read.add(sha256(await response.read()).hexdigest())
            assert len(read) == 1, f"{path} differs between the APIs"
            found[path] = read.pop()
    return found


async def fail_in_the_database(crowd: Crowd) -> None:
    """Run a statement that contains the words and fails, to see whether Postgres logs the words."""
    try:
        await asyncio.to_thread(query, crowd.settings.database_url, "SELECT %s, 1 / 0", crowd.words)
    except psycopg2.errors.DivisionByZero:
        return
    raise AssertionError("the statement did not fail")
