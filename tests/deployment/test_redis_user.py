"""deploy/redis/start.sh starts Redis with a user who may do what the processes do, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, ResponseError

from development import child
from development.redis import program
from shared.redis import with_password
from tests.deployment.conftest import production
from tests.deployment.test_compose import CHECKOUT, SERVICES
from tests.support.client import Rest, Socket
from tests.support.ports import free_port
from tests.support.processes import Processes

pytestmark = pytest.mark.servers

PASSWORD = "p@ss:/$%\"#`'\\ word"
START_SECONDS = 60.0


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    async with Redis.from_url(url) as client:
        yield client


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[str]:
    """Runs Redis by the command of the compose service. Yields the processes' URL, without the password."""
    programs = directory / "bin"
    programs.mkdir()
    password = directory / "redis_password"
    password.write_text(f"{PASSWORD}\n", encoding="utf-8")
    (programs / "valkey-server").symlink_to(program())
    port = free_port()
    shell, script, *options = SERVICES["redis"]["command"]
    script = script.replace("/etc/daveslist", str(CHECKOUT / "deploy" / "redis"))
    with (directory / "output").open("wb") as output:
        process = child.spawn(
            ["/bin/" + shell, script, *options, "--port", str(port), "--bind", "127.0.0.1"],
            death_signal=signal.SIGKILL,
            directory=directory,
            environment={"PATH": f"{programs}:{os.defpath}", "REDIS_PASSWORD_FILE": str(password)},
            output=output,
        )
    try:
        async with asyncio.timeout(START_SECONDS), connected(f"redis://127.0.0.1:{port}") as anybody:
            while True:
                try:
                    await anybody.execute_command("PING")
                    break
                except (OSError, RedisConnectionError):
                    assert process.poll() is None, (directory / "output").read_text()
                    await asyncio.sleep(0.02)
        yield f"redis://daveslist@127.0.0.1:{port}/0"
    finally:
        await child.stop(process, (signal.SIGTERM, 5.0))


FORBIDDEN = """
CONFIG GET *|CONFIG SET maxmemory 0|FLUSHALL|FLUSHDB|SCRIPT FLUSH|KEYS *|ACL LIST|CLIENT LIST|CLIENT KILL TYPE normal
MONITOR|DEBUG SLEEP 0|SHUTDOWN|REPLICAOF 127.0.0.1 1|MODULE LIST|FUNCTION LIST|PUBSUB CHANNELS|GET other:key
PUBLISH other:channel x
"""


async def test_the_user_may_do_nothing_that_the_processes_do_not_do(redis_of_the_deployment: str) -> None:
    async with connected(with_password(redis_of_the_deployment, PASSWORD)) as user:
        assert await user.execute_command("PING")
        for command in FORBIDDEN.strip().replace("\n", "|").split("|"):
            with pytest.raises(ResponseError, match=r"(?i)permission|not allowed"):
                await user.execute_command(*command.split())
        with pytest.raises(ResponseError, match=r"(?i)permission|not allowed"):
            await user.execute_command("EVAL", "return redis.call('SET', 'other:key', '1')", "0")


async def test_without_the_password_only_ping_is_allowed(redis_of_the_deployment: str) -> None:
    async with connected(redis_of_the_deployment.replace("daveslist@", "")) as anybody:
        assert await anybody.execute_command("PING")
        for command in (["GET", "daveslist:x"], ["PUBLISH", "daveslist:x", "y"], ["INFO"]):
            with pytest.raises(NoPermissionError):
                await anybody.execute_command(*command)


async def test_the_processes_need_no_more_rights(
    redis_of_the_deployment: str, database_url: str, tmp_path: Path
) -> None:
    settings = replace(production(database_url, redis_of_the_deployment, tmp_path / "data"), redis_password=PASSWORD)
    processes = Processes(settings, tmp_path)
    try:
        api, gateway, other = await processes.api(), await processes.gateway(), await processes.gateway()
        async with Rest(api.url) as rest:
            ann, bob = await rest.register("Ann"), await rest.register("Bob")
        async with (
            await Socket.connect(gateway.socket_url, ann.token) as first,
            await Socket.connect(other.socket_url, bob.token) as second,
        ):
            for socket, person in ((first, ann), (second, bob)):
                assert (await socket.join(person.topic))["status"] == "ok"
            assert (await first.push(ann.topic, "send", {"to": str(bob.id), "message": "Sold?"}))["status"] == "ok"
            assert (await second.event("send"))["message"] == "Sold?"
        for node in (api, gateway, other):
            refused: Any = [line for line in node.output().splitlines() if "NOPERM" in line or "permission" in line]
            assert not refused
            assert "rate limits counted in this process" not in node.output()
    finally:
        await processes.stop()


@pytest.fixture
async def redis_of_the_deployment(tmp_path: Path) -> AsyncIterator[str]:
    directory = tmp_path / "redis"
    directory.mkdir()
    async with running(directory) as url:
        yield url
