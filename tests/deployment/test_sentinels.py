"""compose.sentinel.yaml and its scripts: a replica takes the place of a Redis that ends, and nobody loses a message."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from shared.redis import url_fault
from tests.deployment.composefile import merged, read
from tests.deployment.conftest import production
from tests.deployment.redis_containers import RedisContainers
from tests.deployment.test_compose import CHECKOUT, COMPOSE, PROCESSES, SECRETS, SERVICES
from tests.deployment.two_people import two_people
from tests.support.sentinels import DEBUG

FURTHER = read(CHECKOUT / "compose.sentinel.yaml")
TOGETHER: dict[str, Any] = merged(COMPOSE, FURTHER)["services"]
SENTINELS = ["sentinel-1", "sentinel-2", "sentinel-3"]
ADDED = ["redis-2", *SENTINELS]
PASSWORDS = {"redis_password": "p@ss:/$%\"#`'\\ word", "redis_sentinel_password": "an\\other \"p@ss'$word"}
START_SECONDS = 60.0


def test_the_processes_ask_the_sentinels_that_there_are() -> None:
    for name in (*PROCESSES, "operator"):
        url = TOGETHER[name]["environment"]["REDIS_URL"]
        assert url_fault(url) is None
        asked = re.findall(r"([a-z0-9-]+):26379", url)
        assert asked == SENTINELS
        assert set(TOGETHER[name]["secrets"]) == set(SECRETS)
        assert {*SENTINELS, "redis", "redis-2"} <= set(TOGETHER[name]["depends_on"])
        kept = {"environment", "depends_on"}
        assert {key: value for key, value in TOGETHER[name].items() if key not in kept} == {
            key: value for key, value in SERVICES[name].items() if key not in kept
        }
    for name in ("redis", *ADDED):
        given = TOGETHER[name]["environment"]
        assert given["REDIS_SENTINELS"].split() == [f"{sentinel}:26379" for sentinel in SENTINELS]
        assert given["REDIS_ADDRESS"] == f"{name}:{26379 if name in SENTINELS else 6379}"
        assert given["REDIS_SERVERS"].split() == ["redis:6379", "redis-2:6379"]
        assert given["REDIS_MASTER"] == "redis:6379"


def test_the_replica_runs_as_redis_does() -> None:
    first, second = SERVICES["redis"], TOGETHER["redis-2"]
    different = {"environment", "secrets", "logging"}
    assert {key: value for key, value in second.items() if key not in different} == {
        key: value for key, value in first.items() if key not in different
    }
    assert {**TOGETHER["redis"], "environment": None, "secrets": None} == {
        **first,
        "environment": None,
        "secrets": None,
    }
    assert set(TOGETHER["redis"]["secrets"]) == set(second["secrets"]) == set(PASSWORDS)


@pytest.mark.parametrize("name", ADDED)
def test_what_is_added_is_as_confined_as_the_rest(name: str) -> None:
    service = TOGETHER[name]
    assert service["networks"] == ["back"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (service["cap_drop"], service["read_only"], service["user"]) == (["ALL"], True, "999:1000")
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert re.fullmatch(r"\d+m", service["mem_limit"])
    assert service["pids_limit"] <= 512
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert service["image"] == SERVICES["redis"]["image"]
    assert "PASSWORD" not in re.sub(r"\w+_FILE", "", str(service["environment"]))


class Containers(RedisContainers):
    """The services of Redis and its sentinels."""

    @asynccontextmanager
    async def asked(self, name: str) -> AsyncIterator[Any]:
        """A client with the rights of a sentinel."""
        password = PASSWORDS["redis_sentinel_password"]
        async with Redis(
            port=self.ports[name], username="sentinel", password=password, protocol=2, decode_responses=True
        ) as redis:
            yield redis

    async def until(self, name: str, wanted: dict[str, str], *command: str) -> None:
        """Wait until the answer has these facts."""
        found: dict[str, str] = {}
        try:
            async with asyncio.timeout(START_SECONDS):
                while not wanted.items() <= found.items():
                    with suppress(OSError, RedisError):
                        async with self.asked(name) as redis:
                            answer = await redis.execute_command(*command, NEVER_DECODE=True)
                        found = _facts(answer)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{name}: {wanted} is not in {found}\n{self.output(name)}") from None

    async def hasten(self, name: str) -> None:
        """Let this sentinel look more often and wait for less time than in a deployment."""
        await self.until(name, {"tcp_port": str(self.ports[name])}, "INFO", "server")
        async with self.asked(name) as sentinel:
            await sentinel.execute_command("SENTINEL", "DEBUG", *DEBUG)
            limits = ("down-after-milliseconds", "500", "failover-timeout", "4000")
            await sentinel.execute_command("SENTINEL", "SET", "daveslist", *limits)


def _facts(answer: Any) -> dict[str, str]:
    if isinstance(answer, (str, bytes)):
        lines = answer.decode() if isinstance(answer, bytes) else answer
        return dict(line.split(":", 1) for line in lines.splitlines() if ":" in line)
    if isinstance(answer, dict):
        return {str(name): str(value) for name, value in answer.items()}
    texts = [one.decode() if isinstance(one, bytes) else str(one) for one in answer]
    return dict(zip(texts[::2], texts[1::2], strict=True))


@pytest.mark.servers
async def test_people_chat_on_when_redis_comes_back_as_the_replica_and_all_sentinels_begin_anew(
    database_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        containers = Containers(tmp_path, TOGETHER, PASSWORDS, ("redis", *ADDED))
        stack.push_async_callback(containers.stop)
        for name in ("redis", "redis-2"):
            containers.start(name)
        await containers.until("redis-2", {"master_link_status": "up"}, "INFO", "replication")
        for name in SENTINELS:
            containers.start(name)
        for name in SENTINELS:
            await containers.hasten(name)
        for name in SENTINELS:
            facts = {"num-slaves": "1", "num-other-sentinels": "2", "flags": "master"}
            await containers.until(name, facts, "SENTINEL", "MASTER", "daveslist")
        await nobody_commands_a_sentinel(containers.ports["sentinel-1"])
        url = containers.here(TOGETHER["api-1"]["environment"]["REDIS_URL"])
        settings = production(database_url, url, tmp_path / "data")
        chat = await stack.enter_async_context(two_people(settings, tmp_path))
        await chat("Sold?")
        containers.kill("redis")
        await chat("Still there?")
        await containers.until("redis-2", {"role": "master"}, "INFO", "replication")
        await chat("Hello?")
        # It asks the sentinels whom to follow, and they follow it up.
        containers.start("redis")
        here = {"role": "slave", "master_port": str(containers.ports["redis-2"]), "master_link_status": "up"}
        await containers.until("redis", here, "INFO", "replication")
        await chat("Goodbye")
        # New containers remember nothing, and none of the sentinels is there for the others.
        for name in SENTINELS:
            containers.kill(name)
        for name in SENTINELS:
            containers.start(name)
        for name in SENTINELS:
            facts = {"port": str(containers.ports["redis-2"]), "flags": "master", "num-other-sentinels": "2"}
            await containers.until(name, facts, "SENTINEL", "MASTER", "daveslist")
        await chat("Really")


async def nobody_commands_a_sentinel(port: int) -> None:
    anybody: Any
    async with Redis(port=port, protocol=2) as anybody:
        assert await anybody.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "daveslist")
        for command in (
            ["SENTINEL", "FAILOVER", "daveslist"],
            ["SENTINEL", "MASTERS"],
            ["SENTINEL", "CONFIG", "GET", "*"],
        ):
            with pytest.raises(NoPermissionError):
                await anybody.execute_command(*command)
