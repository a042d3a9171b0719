"""compose.cluster.yaml and its scripts: the servers become one cluster, and people chat on when a master ends."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from ipaddress import ip_address, ip_network
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

FURTHER = read(CHECKOUT / "compose.cluster.yaml")
TOGETHER: dict[str, Any] = merged(COMPOSE, FURTHER)["services"]
SERVERS = ["redis", "redis-2", "redis-3", "redis-4", "redis-5", "redis-6"]
MASTERS = SERVERS[:3]
PASSWORDS = {"redis_password": "p@ss:/$%\"#`'\\ word", "redis_cluster_password": "an\\other \"p@ss'$word"}
ADDRESSES: dict[str, str] = {name: TOGETHER[name]["networks"]["cluster"]["ipv4_address"] for name in SERVERS}
START_SECONDS = 60.0
FORBIDDEN = """
CLUSTER RESET|CLUSTER FAILOVER|CLUSTER FORGET x|CLUSTER MEET 127.0.0.1 1|CLUSTER ADDSLOTS 1|CLUSTER REPLICATE x
CONFIG GET *|FLUSHALL|KEYS *|SHUTDOWN|REPLICAOF 127.0.0.1 1|SPUBLISH other:channel x|GET other:key
"""


def test_the_processes_wait_for_the_cluster_and_ask_any_of_its_servers() -> None:
    for name in (*PROCESSES, "operator"):
        url = TOGETHER[name]["environment"]["REDIS_URL"]
        assert url == "redis+cluster://daveslist@redis-servers:6379"
        assert url_fault(url) is None
        assert TOGETHER[name]["depends_on"]["redis-cluster"] == {"condition": "service_completed_successfully"}
        assert set(TOGETHER[name]["secrets"]) == set(SECRETS)
        kept = {"environment", "depends_on"}
        assert {key: value for key, value in TOGETHER[name].items() if key not in kept} == {
            key: value for key, value in SERVICES[name].items() if key not in kept
        }


def test_the_servers_know_each_other_by_fixed_addresses() -> None:
    [network] = [ip_network(one["subnet"]) for one in FURTHER["networks"]["cluster"]["ipam"]["config"]]
    assert all(ip_address(address) in network for address in ADDRESSES.values())
    assert not any(
        network.overlaps(other)
        for given in COMPOSE["networks"].values()
        for other in map(ip_network, (one["subnet"] for one in given.get("ipam", {}).get("config", [])))
        if other.version == network.version
    )
    making = TOGETHER["redis-cluster"]
    assert making["environment"]["REDIS_SERVERS"].split() == [f"{address}:6379" for address in ADDRESSES.values()]
    assert set(making["depends_on"]) == set(SERVERS)
    for name in SERVERS:
        assert TOGETHER[name]["environment"]["REDIS_ADDRESS"] == f"{name}:6379"
        assert TOGETHER[name]["environment"]["REDIS_CLUSTER_ADDRESS"] == ADDRESSES[name]
        assert TOGETHER[name]["networks"]["back"] == {"aliases": ["redis-servers"]}


def test_every_server_runs_as_the_first_one_does() -> None:
    own = {"environment", "networks", "volumes"}
    for name in SERVERS:
        service = TOGETHER[name]
        assert {key: value for key, value in service.items() if key not in own} == {
            **{key: value for key, value in SERVICES["redis"].items() if key not in {*own, "tmpfs", "secrets"}},
            "secrets": list(PASSWORDS),
        }
        assert service["volumes"] == ["./deploy/redis:/etc/daveslist:ro", f"{name}:/data"]
        assert name in FURTHER["volumes"]


@pytest.mark.parametrize("name", [*SERVERS, "redis-cluster"])
def test_what_is_added_is_as_confined_as_the_rest(name: str) -> None:
    service = TOGETHER[name]
    assert set(service["networks"]) <= {"back", "cluster"}
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (service["cap_drop"], service["read_only"], service["user"]) == (["ALL"], True, "999:1000")
    assert re.fullmatch(r"\d+m", service["mem_limit"])
    assert service["pids_limit"] <= 512
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert service["image"] == SERVICES["redis"]["image"]
    assert "PASSWORD" not in re.sub(r"\w+_FILE", "", str(service["environment"]))
    assert all(FURTHER["networks"][network] for network in service["networks"])


def test_what_is_reset_has_only_what_the_further_file_says() -> None:
    assert "tmpfs" in SERVICES["redis"]
    assert "tmpfs" not in TOGETHER["redis"]


class Containers(RedisContainers):
    """The servers of the cluster, and the script that makes it."""

    def here(self, text: str) -> str:
        for name, address in ADDRESSES.items():
            text = re.sub(rf"{re.escape(address)}:\d+", f"127.0.0.1:{self.ports[name]}", text)
            text = re.sub(rf"{re.escape(address)}\b", "127.0.0.1", text)
        return super().here(text.replace("redis-servers:", "redis:"))

    async def start_all(self) -> None:
        for name in SERVERS:
            self.start(name)
        for name in SERVERS:
            await self.until(name, "cluster_state", "CLUSTER", "INFO")

    async def make(self) -> str:
        """Run the script; returns what it has printed."""
        path = self.folder("redis-cluster") / "output"
        before = len(path.read_text()) if path.exists() else 0
        self.start("redis-cluster")
        code = await asyncio.to_thread(self.running["redis-cluster"].wait, START_SECONDS)
        written = path.read_text()[before:]
        assert code == 0, written
        return written

    async def ask(self, name: str, *command: str) -> str:
        password = PASSWORDS["redis_cluster_password"]
        client: Any
        async with Redis(port=self.ports[name], username="cluster", password=password) as client:
            return str((await client.execute_command(*command, NEVER_DECODE=True)).decode())

    async def until(self, name: str, wanted: str, *command: str) -> None:
        """Wait until the answer has a line that this pattern matches."""
        found = ""
        try:
            async with asyncio.timeout(START_SECONDS):
                while not re.search(wanted, found, re.MULTILINE):
                    with suppress(OSError, RedisError):
                        found = await self.ask(name, *command)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{name}: {wanted!r} is not in {found}\n{self.output(name)}") from None

    async def until_complete(self) -> None:
        for name in SERVERS:
            await self.until(name, "^cluster_state:ok", "CLUSTER", "INFO")

    async def roles(self) -> dict[str, tuple[str, str]]:
        """Of each server: whether it is a master, and which slots or which master it has."""
        nodes = [line.split() for line in (await self.ask("redis-2", "CLUSTER", "NODES")).splitlines()]
        names = {port: name for name, port in self.ports.items()}
        named = {node[0]: names[int(node[1].split("@")[0].rpartition(":")[2])] for node in nodes}
        return {
            named[node[0]]: ("master", " ".join(node[8:])) if "master" in node[2] else ("replica", named[node[3]])
            for node in nodes
        }


@pytest.fixture
async def containers(tmp_path: Path) -> AsyncIterator[Containers]:
    running = Containers(tmp_path, TOGETHER, PASSWORDS, SERVERS)
    try:
        await running.start_all()
        yield running
    finally:
        await running.stop()


@pytest.mark.servers
async def test_the_servers_become_one_cluster_once_and_come_back_as_they_were(containers: Containers) -> None:
    said = await containers.make()
    assert said == "the cluster has 3 masters, and a replica of each\n"
    roles = await containers.roles()
    assert [roles[name] for name in MASTERS] == [
        ("master", "0-5460"),
        ("master", "5461-10921"),
        ("master", "10922-16383"),
    ]
    assert sorted(roles[name] for name in SERVERS[3:]) == [("replica", name) for name in sorted(MASTERS)]
    await nobody_may_do_more(containers)
    assert await containers.make() == said
    assert await containers.roles() == roles
    for name in SERVERS:
        containers.kill(name)
    await containers.start_all()
    await nobody_may_do_more(containers)
    assert await containers.make() == said
    assert await containers.roles() == roles

    # Without its volume, a server becomes a replica.
    [successor] = [name for name, (role, of) in roles.items() if (role, of) == ("replica", "redis")]
    containers.kill("redis")
    shutil.rmtree(containers.folder("redis"))
    await containers.until(successor, "myself,master .* 0-5460$", "CLUSTER", "NODES")
    containers.start("redis")
    await containers.until("redis", "myself,master", "CLUSTER", "NODES")
    await containers.make()
    await containers.until("redis", "myself,slave", "CLUSTER", "NODES")
    await containers.until_complete()


async def nobody_may_do_more(containers: Containers) -> None:
    """Checks the rights of each user on a server."""
    client: Any
    port, password = containers.ports["redis"], PASSWORDS["redis_password"]
    async with Redis(port=port, username="daveslist", password=password) as client:
        for command in re.split(r"[|\n]", FORBIDDEN.strip()):
            with pytest.raises(NoPermissionError):
                await client.execute_command(*command.split())
        for command in ("CLUSTER SHARDS", "CLUSTER SLOTS", "CLUSTER NODES", "COMMAND", "READONLY", "ASKING"):
            await client.execute_command(*command.split(), NEVER_DECODE=True)
    for user in ("replica", "cluster"):
        async with Redis(port=port, username=user, password=PASSWORDS["redis_cluster_password"]) as client:
            for command in ("GET daveslist:x", "CLUSTER RESET", "CONFIG GET *", "FLUSHALL", "ACL LIST"):
                with pytest.raises(NoPermissionError):
                    await client.execute_command(*command.split())
    async with Redis(port=port) as client:
        assert await client.ping()
        for command in ("CLUSTER NODES", "CLUSTER SHARDS", "GET daveslist:x", "INFO"):
            with pytest.raises(NoPermissionError):
                await client.execute_command(*command.split())


@pytest.mark.servers
async def test_people_chat_on_when_a_master_ends_and_comes_back_as_a_replica(
    containers: Containers, database_url: str, tmp_path: Path
) -> None:
    await containers.make()
    url = containers.here(TOGETHER["api-1"]["environment"]["REDIS_URL"])
    async with two_people(production(database_url, url, tmp_path / "data"), tmp_path) as chat:
        await chat("Sold?")
        roles = await containers.roles()
        [successor] = [name for name, role in roles.items() if role == ("replica", "redis")]
        containers.kill("redis")
        await chat("Still there?")
        await containers.until(successor, "myself,master ", "CLUSTER", "NODES")
        await chat("Hello?")
        containers.start("redis")
        await containers.until("redis", "myself,slave ", "CLUSTER", "NODES")
        await containers.until_complete()
        await chat("Goodbye")
