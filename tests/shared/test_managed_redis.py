"""What managed services do to a Redis of a single URL: links, clients and counts come back by themselves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from api.local_counts import Quota
from api.rate_counts import RateCounts
from development.redis import EmbeddedRedis
from gateway.presence.store_redis import RedisStore
from shared import redis_connections
from shared.pubsub import broker_for
from shared.pubsub.audience import audience_for
from shared.pubsub.broker import Broker
from shared.redis import client
from shared.settings import Settings
from tests.contracts.test_broker import Inbox
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.scratch import scratch_directory
from tests.support.servers import run
from tests.support.waiting import until

pytestmark = pytest.mark.servers

NAME = "redis.test"
PATIENCE = 15.0
FIRST, SECOND = "127.0.0.1", "127.0.0.2"
USER = ["on", "~*", "&*", "+@all"]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedRedis]:
    with scratch_directory() as directory:
        server = EmbeddedRedis(directory, port=free_port())
        try:
            run(server.start())
            yield server
        finally:
            run(server.stop())


@asynccontextmanager
async def connected(url: str, timeout: float = 3.0) -> AsyncIterator[Any]:
    made = client(url, timeout)
    try:
        yield made
    finally:
        await made.aclose()


@asynccontextmanager
async def started(settings: Settings, *inboxes: Inbox) -> AsyncIterator[list[Broker]]:
    brokers = [broker_for(settings, f"node{number}") for number in range(len(inboxes))]
    try:
        for broker, inbox in zip(brokers, inboxes, strict=True):
            await broker.start(inbox)
        yield brokers
    finally:
        for broker in brokers:
            await broker.stop()


@dataclass
class Service:
    """A name that leads to one of two servers, which have the same port on different addresses."""

    port: int
    servers: tuple[EmbeddedRedis, EmbeddedRedis]
    address: str = FIRST

    @property
    def settings(self) -> Settings:
        return Settings(redis_url=f"redis://{NAME}:{self.port}/0", redis_timeout_seconds=3.0)

    async def promote(self) -> None:
        """Make the second server the master, and the name lead to it. The first one keeps its connections."""
        async with connected(f"redis://{SECOND}:{self.port}") as second:
            await second.execute_command("REPLICAOF", "NO", "ONE")
        async with connected(f"redis://{FIRST}:{self.port}") as first:
            await first.execute_command("REPLICAOF", SECOND, str(self.port))
        self.address = SECOND


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    port = free_port()
    servers = (
        EmbeddedRedis(tmp_path / "first", port=port),
        EmbeddedRedis(tmp_path / "second", port=port, options=["--bind", SECOND]),
    )
    made = Service(port, servers)
    look_up = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **options: Any) -> Any:
        return look_up(made.address if host in (NAME, NAME.encode()) else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    try:
        for one in servers:
            run(one.start())
        yield made
    finally:
        for one in servers:
            run(one.stop())


async def test_links_leave_a_server_that_has_become_a_replica_and_look_its_name_up_again(service: Service) -> None:
    inboxes = Inbox(), Inbox()
    async with started(service.settings, *inboxes) as (one, other):
        await one.subscribe("room")
        await service.promote()
        for inbox in inboxes:
            await inbox.until(lambda box: bool(box.restored))
        # What was published since the last answer of the master may have reached nobody.
        assert inboxes[0].lost
        assert inboxes[1].lost
        other.publish("room", b"after")
        await inboxes[0].has("room", b"after")
        async with connected(f"redis://{SECOND}:{service.port}") as second:
            assert {"daveslist-node0", "daveslist-node1"} <= {each["name"] for each in await second.client_list()}


async def test_writes_go_to_the_new_master_without_an_error(service: Service) -> None:
    store = RedisStore.of(service.settings)
    counts = RateCounts(service.settings.redis_url, "daveslist:", 3.0)
    quota = [Quota("rate:{write:1}", 5)]
    try:
        assert set((await store.beat("n1", 5.0)).nodes) == {"n1"}
        assert not await counts.take(quota)
        await service.promote()
        assert set((await store.beat("n1", 5.0)).nodes) == {"n1"}
        assert not await counts.take(quota)
        assert not counts.is_away
        async with connected(f"redis://{SECOND}:{service.port}") as second:
            assert await second.exists("daveslist:presence:nodes", "daveslist:rate:{write:1}") == 2
    finally:
        await store.close()
        await counts.close()


async def test_a_client_that_only_reads_asks_the_new_master(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica refuses no read; it does not know who is subscribed at the master."""
    monkeypatch.setattr(redis_connections, "ROLE_SECONDS", 0.1)
    audience, inbox = audience_for(service.settings), Inbox()
    try:
        async with started(service.settings, inbox) as (broker,):
            await broker.subscribe("room")
            assert await audience.heard(["room"]) == {"room"}
            await service.promote()
            await inbox.until(lambda box: bool(box.restored))
            await asyncio.sleep(0.2)
            assert await audience.heard(["room"]) == {"room"}
    finally:
        await audience.close()


async def test_a_name_that_leads_to_a_replica_counts_as_away_until_it_leads_to_a_master(service: Service) -> None:
    inbox = Inbox()
    async with connected(f"redis://{FIRST}:{service.port}") as first:
        await first.execute_command("REPLICAOF", SECOND, str(service.port))
    async with started(replace(service.settings, redis_timeout_seconds=0.5), inbox) as (broker,):
        assert not broker.connected
        async with connected(service.settings.redis_url) as reader:
            with pytest.raises(RedisError, match="replica"):
                await reader.get("anything")
        service.address = SECOND
        await until(lambda: broker.connected)


async def test_a_connection_that_is_cut_while_idle_is_opened_again_for_the_next_command(server: EmbeddedRedis) -> None:
    async with connected(server.url) as direct, connected(server.url) as redis:
        assert await redis.ping()
        number = await redis.client_id()
        await direct.execute_command("CLIENT", "KILL", "ID", number)
        assert await redis.set("here", "1")
        assert await redis.client_id() != number


async def test_an_idle_link_speaks_so_that_nobody_takes_it_for_dead(server: EmbeddedRedis) -> None:
    assert server.port is not None
    inbox = Inbox()
    async with Proxy(server.port) as proxy:
        settings = Settings(redis_url=f"redis://127.0.0.1:{proxy.port}", redis_timeout_seconds=0.6)
        async with started(settings, inbox):
            sent = proxy.sent
            await until(lambda: proxy.sent > sent + 50)
        assert not inbox.restored


async def test_a_password_changes_in_two_steps_while_links_stay(server: EmbeddedRedis) -> None:
    async def user(*changes: str) -> None:
        async with connected(server.url) as direct:
            await direct.execute_command("ACL", "SETUSER", "app", *changes)

    def with_password(password: str) -> Settings:
        url = server.url.replace("://", f"://app:{password}@")
        return Settings(redis_url=url, redis_timeout_seconds=0.5)

    await user(*USER, ">old")
    olds, news = Inbox(), Inbox()
    async with started(with_password("old"), olds) as (old,):
        await old.subscribe("room")
        await user(">new")
        # Both passwords are right: processes are replaced one by one.
        async with started(with_password("new"), news) as (new,):
            new.publish("room", b"to the old one")
            await olds.has("room", b"to the old one")
            await user("<old")
            assert old.connected
            async with started(with_password("old"), Inbox()) as (late,):
                assert not late.connected
            assert new.connected
            assert not news.restored


async def test_a_user_without_client_and_config_is_enough(server: EmbeddedRedis) -> None:
    async with connected(server.url) as direct:
        rights = [*USER, ">secret", "-@dangerous", "-client", "-config", "-hello", "-info", "-role"]
        await direct.execute_command("ACL", "SETUSER", "few", *rights)
        inbox = Inbox()
        url = server.url.replace("://", "://few:secret@")
        async with started(Settings(redis_url=url), inbox) as (broker,), connected(url) as redis:
            assert broker.connected
            await broker.subscribe("room")
            broker.publish("room", b"heard")
            await inbox.has("room", b"heard")
            assert await redis.set("here", "1")


async def test_a_server_that_is_full_counts_as_away_until_it_has_room(server: EmbeddedRedis) -> None:
    async with connected(server.url) as direct:
        assert await direct.ping()
        most = (await direct.config_get("maxclients"))["maxclients"]
        await direct.config_set("maxclients", 1)
        try:
            inbox = Inbox()
            async with started(Settings(redis_url=server.url, redis_timeout_seconds=0.5), inbox) as (broker,):
                assert not broker.connected
                async with connected(server.url) as refused:
                    with pytest.raises(RedisError, match="max number of clients"):
                        await refused.ping()
                await direct.config_set("maxclients", most)
                await until(lambda: broker.connected)
        finally:
            await direct.config_set("maxclients", most)
