"""An API dies before or after its commit, and its answer never comes: a repeat with the same key makes one thing."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp
import psycopg2

from tests.end_to_end.faults.conftest import World
from tests.support.client import Person, Rest
from tests.support.database import query
from tests.support.proxy import Proxy
from tests.support.waiting import PATIENCE_SECONDS, until

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def made(world: World, table: str) -> int:
    return int(query(world.settings.database_url, f"SELECT count(*) FROM {table}")[0][0])


async def post(url: str, who: Person, path: str, body: Any) -> tuple[int, bytes, str | None]:
    headers = {"Authorization": f"Bearer {who.token}", "Idempotency-Key": f'"{KEY}{path}"'}
    async with aiohttp.ClientSession() as client, client.post(url + path, json=body, headers=headers) as response:
        return response.status, await response.read(), response.headers.get("Idempotent-Replayed")


async def category_of(world: World, rest: Rest, admin: Person) -> int:
    sql = "UPDATE users SET role = 'admin' WHERE id = %s RETURNING 1"
    query(world.settings.database_url, sql, admin.id)
    body = {"name": "Saloons", "visibility": "public"}
    return int((await rest.call("POST", "/api/categories", 201, who=admin, body=body))["id"])


async def test_an_api_that_is_killed_between_the_commit_and_its_answer_makes_nothing_twice(world: World) -> None:
    api = await world.processes.api()
    async with Rest(api.url) as rest, Proxy(api.port) as proxy:
        ann, bob = await rest.register("Ann"), await rest.register("Bob")
        listing = {"title": "Car", "content": "Red.", "category_id": await category_of(world, rest, ann)}
        car = (await rest.call("POST", "/api/listings", 201, who=ann, body=listing))["id"]
        requests = {
            "listings": ("/api/listings", listing),
            "replies": (f"/api/listings/{car}/replies", {"text": "Is it there?"}),
            "reports": (f"/api/listings/{car}/reports", {"reason": "sold"}),
            "saved_searches": ("/api/searches", {"name": "Mine", "query": {"q": "car"}}),
            "messages": ("/api/messages", {"to": ann.id, "message": "Hello"}),
        }
        before = {table: made(world, table) for table in requests}
        proxy.cut_answers()
        lost = [
            asyncio.create_task(post(f"http://127.0.0.1:{proxy.port}", bob, path, body))
            for path, body in requests.values()
        ]
        await until(lambda: made(world, "repeatable_requests") == len(requests))
        api.kill()
        await api.ended()
    for task in lost:
        task.cancel()
        with suppress(aiohttp.ClientError, asyncio.CancelledError):
            await task

    again = await world.processes.again(api)
    kept = {row[0] for row in query(world.settings.database_url, "SELECT answer FROM repeatable_requests")}
    for path, body in requests.values():
        status, answer, is_repeated = await post(again.url, bob, path, body)
        assert (status, is_repeated) == (201, "true")
        assert answer.decode() in kept
        assert json.loads(answer)["id"]
    assert {table: made(world, table) for table in requests} == {table: count + 1 for table, count in before.items()}


async def test_an_api_that_is_killed_before_the_commit_has_made_nothing_and_the_repeat_does(world: World) -> None:
    api = await world.processes.api()
    async with Rest(api.url) as rest:
        ann = await rest.register("Ann")
        category = await category_of(world, rest, ann)
        body = {"title": "Car", "content": "Red.", "category_id": category}
        blocker = psycopg2.connect(world.settings.database_url)
        # The listing waits for its category, within the transaction that has its key.
        blocker.cursor().execute("SELECT FROM categories WHERE id = %s FOR UPDATE", (category,))
        lost = asyncio.create_task(post(api.url, ann, "/api/listings", body))
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        await until(lambda: bool(query(world.settings.database_url, waits)))
        status, problem, _ = await post(api.url, ann, "/api/listings", body)
        assert status == 409
        assert b"idempotency-key-in-use" in problem
        api.kill()
        await api.ended()
        with suppress(aiohttp.ClientError):
            await lost
        blocker.rollback()
        blocker.close()

    again = await world.processes.again(api)

    async def repeated() -> int:
        return (await post(again.url, ann, "/api/listings", body))[0]

    # Postgres notices that the first one's client is gone when it answers it.
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await repeated() != 201:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert made(world, "listings") == 1
