"""Tests `python -m api` as a real process, which serves, stops, and runs the operator's commands."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from api import server
from shared.access.tokens import Tokens
from shared.postgres import Database, Statement
from shared.pubsub.redis import RedisBroker
from shared.settings import Settings
from tests.api.conftest import PASSWORD, Broadcasts
from tests.support.processes import CHECKOUT, NURSERY, Processes, base_environment, environment_of
from tests.support.roles import as_owner
from tests.support.secret import JWT_SECRET
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.servers


def command(
    settings: Settings, *arguments: str, directory: Path = CHECKOUT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`python -m api ARGUMENT...`, run to its end."""
    given = {**base_environment(), **environment_of(settings), **environment}
    return NURSERY.run("api", *arguments, environment=given, directory=directory)


async def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    database = await Database.connect(settings)
    try:
        return await database.fetch(Statement("", sql))
    finally:
        await database.close()


async def test_the_api_publishes_through_redis_and_finishes_requests_before_it_stops(
    processes: Processes, settings: Settings
) -> None:
    api = await processes.api()
    broadcasts, broker = Broadcasts(settings), RedisBroker(settings, "test")
    await broker.start(broadcasts)
    await broker.subscribe("private_chat:1")
    async with aiohttp.ClientSession(api.url) as client:
        body = {"email": "dave@example.com", "password": PASSWORD, "name": "Dave"}
        async with client.post("/api/register", json=body) as response:
            assert response.status == 201
            token = (await response.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with client.post("/api/messages", json={"to": 1, "message": "Hi"}, headers=headers) as response:
            assert response.status == 201
            message = await response.json()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await broadcasts.arrived.wait()
        assert broadcasts.seen == [("private_chat:1", "send", message)]
        # The API is told to stop while it waits for the body of a request, and it still finishes this request.
        login = json.dumps({"email": body["email"], "password": PASSWORD}).encode()

        async def late() -> AsyncIterator[bytes]:
            api.signal(signal.SIGTERM)
            yield login

        json_type = {"Content-Type": "application/json"}
        response = await client.post("/api/login", data=late(), headers=json_type, expect100=True)
        assert response.status == 200
        await response.read()
    assert await api.ended() == 0
    await broker.stop()
    lines = [json.loads(line) for line in api.output().splitlines()]
    assert [line["event"] for line in lines if line["event"] != "request"] == ["listening", "stopping"]
    assert token not in api.output()


def owned(settings: Settings) -> Settings:
    """The settings of a command that changes the schema."""
    return replace(settings, database_url=as_owner(settings.database_url))


async def test_the_api_starts_as_soon_as_its_schema_is_applied(processes: Processes, settings: Settings) -> None:
    await rows(owned(settings), "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    starting = asyncio.gather(processes.api(), processes.api())
    logs = processes.directory
    async with asyncio.timeout(PATIENCE_SECONDS):
        while sum("waiting for Postgres" in log.read_text() for log in logs.glob("api-*.log")) < 2:
            assert not starting.done()
            await asyncio.sleep(0.02)
    assert (await asyncio.to_thread(command, owned(settings), "schema")).stdout == "schema applied\n"
    await starting
    assert await rows(settings, "SELECT count(*) FROM users") == [(0,)]


async def test_an_api_without_its_schema_gives_up_with_one_line_that_says_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rows(owned(settings), "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    monkeypatch.setattr(server, "SCHEMA_PATIENCE_SECONDS", 0.3)
    with pytest.raises(server.SchemaMissing, match=r"^DATABASE_URL: [^\n]+ run `python -m api schema` [^\n]+$"):
        await server.serve(settings)


@pytest.mark.parametrize("arguments", [("schema",), ("seed", "--users", "1")])
async def test_the_processes_role_may_not_run_a_command_that_changes_the_schema(
    settings: Settings, arguments: tuple[str, ...]
) -> None:
    done = command(settings, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "python -m api: the role daveslist_processes may not change the schema: "
        "run this with the DATABASE_URL of the role that owns the database\n"
    )
    assert await rows(settings, "SELECT count(*) FROM users") == [(0,)]


async def test_the_command_seed_makes_listings_and_users_who_can_log_in(
    processes: Processes, settings: Settings
) -> None:
    done = await asyncio.to_thread(command, owned(settings), "seed", "--users", "500", "--listings", "300")
    assert done.returncode == 0, done.stderr
    assert "correct horse battery" in done.stdout
    assert await rows(settings, "SELECT min(id), max(id), count(*) FROM users") == [(1, 500, 500)]
    assert await rows(settings, "SELECT count(*), count(DISTINCT title) > 50 FROM listings") == [(300, True)]
    assert command(owned(settings), "seed", "--users", "10").returncode == 0
    assert await rows(settings, "SELECT email FROM users WHERE id = 510") == [("user510@example.com",)]
    api = await processes.api()
    async with aiohttp.ClientSession(api.url) as client:
        body = {"email": "user510@example.com", "password": PASSWORD}
        async with client.post("/api/login", json=body) as response:
            assert response.status == 200


async def test_the_command_seed_draws_pictures_once(settings: Settings) -> None:
    def seed(*arguments: str) -> str:
        done = command(owned(settings), "seed", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert seed("--users", "1", "--listings", "3", "--pictures", "2").endswith("3 listings\n3 pictures\n")
    # Of the newest two listings, one is left without, as people leave some.
    assert await rows(settings, "SELECT listing_id, count(*) FROM pictures GROUP BY listing_id") == [(2, 3)]
    stored = await rows(settings, "SELECT key, medium_key, thumbnail_key FROM pictures")
    folder = settings.data_directory / "pictures"
    assert all((folder / str(key)).is_file() for row in stored for key in row)
    assert await rows(settings, "SELECT key FROM abandoned_files") == []
    assert seed("--pictures", "2") == "0 pictures\n"
    assert seed("--users", "1", "--listings", "1", "--pictures", "9", "--if-empty") == ""
    assert await rows(settings, "SELECT count(*) FROM pictures, users, listings") == [(9,)]


async def test_the_command_token_prints_a_line_for_each_user(settings: Settings) -> None:
    command(owned(settings), "seed", "--users", "3")
    done = command(settings, "token", "1", "3")
    assert done.returncode == 0
    lines = [line.split(" ") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["1", "3"]
    tokens = Tokens(settings.jwt_secrets, 60)
    assert [tokens.verify(line[1]).user_id for line in lines] == [1, 3]
    failed = command(settings, "token", "99")
    assert (failed.returncode, failed.stdout, failed.stderr) == (1, "", "python -m api: no user 99\n")


async def test_the_command_role_makes_the_first_admin_and_keeps_the_last_one(settings: Settings) -> None:
    command(owned(settings), "seed", "--users", "1")
    assert command(settings, "role", "USER1@example.com", "admin").returncode == 0
    assert await rows(settings, "SELECT role FROM users") == [("admin",)]
    refused = command(settings, "role", "user1@example.com", "user")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert command(settings, "role", "nobody@example.com", "admin").returncode == 1
    assert command(settings, "role", "user1@example.com", "king").returncode == 2


async def test_the_command_schema_prints_whether_it_applied_the_schema(settings: Settings) -> None:
    await rows(owned(settings), "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    # This process is a new Python, and not one of the nursery, which has imported modules already.
    environment = {**base_environment(), **environment_of(owned(settings))}
    applied = subprocess.check_output([sys.executable, "-m", "api", "schema"], cwd=CHECKOUT, env=environment, text=True)
    assert applied == "schema applied\n"
    assert command(owned(settings), "schema").stdout == "schema is up to date\n"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"JWT_SECRETS": "short"}, "JWT_SECRETS"),
        ({"JWT_SECRETS": "", "ENVIRONMENT": "production"}, "JWT_SECRETS"),
        ({"DATABASE_URL": "", "ENVIRONMENT": "production"}, "DATABASE_URL"),
        ({"DATABASE_URL": ""}, "make run"),
        ({"DATABASE_URL": "postgresql://me:my-password@127.0.0.1/db?nonsense=1"}, "DATABASE_URL"),
        ({"API_PORT": "x"}, "API_PORT"),
    ],
)
def test_a_wrong_setting_is_reported_in_one_line(tmp_path: Path, environment: dict[str, str], named: str) -> None:
    settings = replace(
        Settings(),
        jwt_secrets=(JWT_SECRET,),
        database_url="postgresql://me@127.0.0.1:1/db",
        redis_url="redis://127.0.0.1:1",
        data_directory=tmp_path,
    )
    done = command(settings, directory=tmp_path, **environment)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert named in done.stderr
    assert "my-password" not in done.stderr
