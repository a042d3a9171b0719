"""The baseline of REST: a bare aiohttp and aiopg handler that runs the same prepared SQL for each request."""

from __future__ import annotations

import argparse

import aiopg
import uvloop
from aiohttp import web

from shared.domain.ids import MAX_ID
from shared.postgres.address import resolved
from shared.postgres.session import for_session, settings
from shared.repositories.listings import READ_FOR_ANYONE, front_page_statement
from tests.bench import bare_server

LIMIT = 20
FRONT_PAGE = front_page_statement(LIMIT + 1)


async def _prepare(connection: aiopg.Connection) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(for_session(settings(5.0)))
        for statement in (FRONT_PAGE, READ_FOR_ANYONE):
            await cursor.execute(f"PREPARE {statement.name} ({', '.join(statement.types)}) AS {statement.sql}")


async def serve(port: int, database_url: str) -> None:
    [(_, dsn)] = await resolved(database_url, 5.0)
    pool = await aiopg.create_pool(
        dsn, minsize=10, maxsize=10, enable_json=False, enable_hstore=False, enable_uuid=False, on_connect=_prepare
    )

    async def page(request: web.Request) -> web.Response:
        assert int(request.query["limit"]) == LIMIT
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(f"EXECUTE {FRONT_PAGE.name} (%s, %s)", (MAX_ID, MAX_ID))
            rows = await cursor.fetchall()
        body = f'{{"data":[{",".join(row[0] for row in rows[:LIMIT])}]}}'
        return web.Response(body=body.encode(), content_type="application/json")

    async def one(request: web.Request) -> web.Response:
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(f"EXECUTE {READ_FOR_ANYONE.name} (%s)", (int(request.match_info["id"]),))
            rows = await cursor.fetchall()
        return web.Response(body=rows[0][0].encode(), content_type="application/json")

    await bare_server.serve(port, [web.get("/api/listings", page), web.get("/api/listings/{id}", one)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database-url", required=True)
    given = parser.parse_args()
    uvloop.run(serve(given.port, given.database_url))
