"""Clients and links find the master by sentinels of which some, or all, are away, slow, or strict."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Connection
from redis.exceptions import RedisError

from shared.pubsub import broker_for
from shared.redis import client, service_fault
from shared.redis_connections import SLACK_SECONDS
from shared.redis_sentinels import ASK_SECONDS, WATCH_SECONDS, Address, Master, Sentinels, _most
from shared.settings import Settings
from tests.contracts.test_broker import Inbox
from tests.support.certificate import make_certificate
from tests.support.freezing import freeze, thaw
from tests.support.ports import free_port
from tests.support.sentinels import SERVICE, SentinelServers, running_sentinels
from tests.support.waiting import eventually, until

TIMEOUT = 3.0
ONE, TWO = ("one", 1), ("two", 2)
LONG_SECONDS = 2 * (WATCH_SECONDS + SLACK_SECONDS)
"""If the sentinels confirmed a master all the time, less than this would count as lost."""


@asynccontextmanager
async def connected(url: str, timeout: float = TIMEOUT) -> AsyncIterator[Any]:
    made = client(url, timeout)
    try:
        yield made
    finally:
        await made.aclose()


@pytest.mark.parametrize(
    ("votes", "master"),
    [
        ({}, None),
        ({None: 3}, None),
        ({ONE: 1}, ONE),
        ({ONE: 2, TWO: 1}, ONE),
        ({ONE: 1, TWO: 2}, TWO),
        ({ONE: 1, TWO: 1}, None),
        ({None: 2, TWO: 1}, TWO),
    ],
)
def test_the_master_is_the_one_that_most_sentinels_name(
    votes: dict[Address | None, int], master: Address | None
) -> None:
    assert _most(Counter(votes)) == master


@pytest.mark.parametrize("away", ["frozen", "killed"])
async def test_one_sentinel_is_enough(sentinels: SentinelServers, away: str) -> None:
    others = sentinels.sentinels[:2]
    async with AsyncExitStack() as stack:
        for sentinel in others:
            if away == "frozen":
                freeze(sentinel.pid)
                stack.callback(thaw, sentinel.pid)
            else:
                sentinel.kill()
                stack.push_async_callback(sentinel.start)
        async with connected(sentinels.url) as redis:
            assert (await redis.info("server"))["tcp_port"] == sentinels.servers[0].port


async def test_what_is_open_goes_on_and_opens_again_while_all_sentinels_are_away(sentinels: SentinelServers) -> None:
    inbox = Inbox()
    async with AsyncExitStack() as stack:
        broker = broker_for(Settings(redis_url=sentinels.url, redis_timeout_seconds=TIMEOUT), "one")
        await broker.start(inbox)
        stack.push_async_callback(broker.stop)
        await broker.subscribe("room")
        redis = await stack.enter_async_context(connected(sentinels.url))
        assert await redis.ping()
        for sentinel in sentinels.sentinels:
            sentinel.kill()
            stack.push_async_callback(sentinel.start)
        await asyncio.sleep(2 * ASK_SECONDS)
        assert broker.connected
        assert not inbox.restored
        broker.publish("room", b"still")
        await inbox.has("room", b"still")
        async with connected(sentinels.servers[0].url) as direct:
            for kind in ("normal", "pubsub"):
                await direct.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        assert await redis.ping()
        await inbox.until(lambda box: bool(box.restored))
        broker.publish("room", b"again")
        await inbox.has("room", b"again")
        assert await service_fault(sentinels.url) is None


@pytest.mark.parametrize(("answering", "is_confirmed"), [(3, True), (2, True), (1, False), (0, False)])
async def test_only_most_of_all_sentinels_confirm_a_master(
    sentinels: SentinelServers, answering: int, is_confirmed: bool
) -> None:
    port = sentinels.servers[0].port
    assert port is not None
    master = "127.0.0.1", port
    asked = Sentinels(
        [("127.0.0.1", sentinel.port) for sentinel in sentinels.sentinels], SERVICE, Connection, {"protocol": 2}
    )
    assert await asked.master() == Master(master, is_confirmed=True)
    async with AsyncExitStack() as stack:
        for sentinel in sentinels.sentinels[answering:]:
            sentinel.kill()
            stack.push_async_callback(sentinel.start)
        assert await asked.master() == Master(master, is_confirmed=is_confirmed)


async def link_of(node: str, direct: Any) -> str:
    """The id of the node's connection for messages."""
    [found] = [one["id"] for one in await direct.client_list() if one["name"] == f"daveslist-{node}"]
    return str(found)


@pytest.mark.parametrize("answering", [1, 0])
async def test_what_most_sentinels_did_not_confirm_counts_as_lost(sentinels: SentinelServers, answering: int) -> None:
    inbox = Inbox()
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        broker = broker_for(Settings(redis_url=sentinels.url, redis_timeout_seconds=TIMEOUT), "one")
        await broker.start(inbox)
        stack.push_async_callback(broker.stop)
        await broker.subscribe("room")
        for sentinel in sentinels.sentinels[answering:]:
            sentinel.kill()
            stack.push_async_callback(sentinel.start)
        # A question that was on its way may still have been answered.
        since = loop.time() + ASK_SECONDS
        broker.publish("room", b"to nobody else, if another server is the master")
        await asyncio.sleep(since + LONG_SECONDS - loop.time())
        direct = await stack.enter_async_context(connected(sentinels.servers[0].url))
        # The second link begins without a confirmation too.
        for links in (1, 2):
            ended_at = loop.time()
            await direct.client_kill_filter(_id=await link_of("one", direct))
            await inbox.until(lambda box: len(box.restored) == links and bool(box.lost))  # noqa: B023
            assert inbox.lost.pop() >= ended_at - since


async def test_a_service_that_most_sentinels_do_not_know_is_said(sentinels: SentinelServers) -> None:
    unknown = sentinels.url.replace(f"/{SERVICE}", "/vans%20")
    assert await service_fault(sentinels.url) is None
    assert await service_fault(unknown) == "the sentinels know no service 'vans '"
    async with connected(unknown) as redis:
        with pytest.raises(RedisError, match=r"the sentinels know no service 'vans '"):
            await redis.ping()


async def test_sentinels_that_are_away_are_said(tmp_path: Path) -> None:
    async with connected(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/cars") as redis:
        with pytest.raises(RedisError, match=r"no sentinel names a master of 'cars': ConnectionError: "):
            await redis.ping()


async def test_a_user_of_the_sentinels_needs_one_right(
    sentinels: SentinelServers, caplog: pytest.LogCaptureFixture
) -> None:
    rights = ["on", ">s3cret&", "-@all", "+auth", "+sentinel|get-master-addr-by-name"]
    for sentinel in sentinels.sentinels:
        await sentinel.command("ACL", "SETUSER", "asker", *rights)
        await sentinel.command("ACL", "SETUSER", "default", "-@all", "+acl")
    try:
        async with connected(f"{sentinels.url}/0?sentinel_username=asker&sentinel_password=s3cret%26") as redis:
            assert await redis.ping()
        async with connected(sentinels.url) as refused:
            with pytest.raises(RedisError, match=r"no sentinel names a master of 'cars': NoPermissionError: "):
                await refused.ping()
        wrong = f"{sentinels.url}?sentinel_username=asker&sentinel_password=wr0ng"
        settings = Settings(redis_url=wrong, redis_timeout_seconds=1.0)
        broker = broker_for(settings, "one")
        try:
            await broker.start(None)
        finally:
            await broker.stop()
        [said] = [record for record in caplog.records if "away at start" in record.getMessage()]
        assert "AuthenticationError" in str(vars(said))
        assert "wr0ng" not in str(vars(said))
    finally:
        for sentinel in sentinels.sentinels:
            await sentinel.command("ACL", "SETUSER", "default", "+@all")
            await sentinel.command("ACL", "DELUSER", "asker")


async def test_a_user_of_the_servers_logs_in_with_the_database_of_the_url(sentinels: SentinelServers) -> None:
    async with connected(sentinels.servers[0].url) as direct:
        await direct.execute_command("ACL", "SETUSER", "app", "on", ">p@ss/:", "~*", "&*", "+@all")
        try:
            url = sentinels.url.replace("://", "://app:p%40ss%2F%3A@", 1)
            async with connected(f"{url}/3") as redis:
                await redis.set("here", "1")
                assert (await redis.client_info())["user"] == "app"
                assert (await redis.client_info())["db"] == 3
                await redis.delete("here")
        finally:
            await direct.execute_command("ACL", "DELUSER", "app")


@asynccontextmanager
async def over_tls(certificate: ssl.SSLContext, to: int) -> AsyncIterator[int]:
    """Yields a port that speaks TLS, and passes everything on to a port of this machine that does not."""
    tasks: set[asyncio.Task[None]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", to)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(pass_on(source, sink))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=certificate)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def slow_sentinel(seconds: float, connections: list[str]) -> AsyncIterator[Address]:
    """A sentinel that needs so long for each answer, and notes whoever connects."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append("opened")
        while await reader.read(65536):
            await asyncio.sleep(seconds)
            writer.write(b"*2\r\n$3\r\none\r\n$1\r\n1\r\n")
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield "127.0.0.1", server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_a_sentinel_that_answers_later_than_the_others_keeps_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.redis_sentinels.WATCH_SECONDS", 0.01)
    monkeypatch.setattr("shared.redis_sentinels.LATE_SECONDS", 30.0)
    heard: asyncio.Queue[Master] = asyncio.Queue()

    class Follower:
        def hear(self, master: Master, asked_at: float) -> None:
            heard.put_nowait(master)

    connections: list[str] = []
    async with AsyncExitStack() as stack:
        all_of_them = [await stack.enter_async_context(slow_sentinel(seconds, connections)) for seconds in (0, 0, 0.02)]
        sentinels, follower = Sentinels(all_of_them, SERVICE, Connection, {}), Follower()
        sentinels.follow(follower)
        for _ in range(10):
            assert (await heard.get()).address == ONE
        await sentinels.unfollow(follower)
    assert len(connections) == 3


async def test_sentinels_and_servers_may_speak_tls(sentinels: SentinelServers, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    server, sentinel = sentinels.servers[0], sentinels.sentinels[0]
    assert server.port is not None
    async with over_tls(context, server.port) as port, over_tls(context, sentinel.port) as asked:
        # A sentinel names the address that it was given, also if it cannot reach it.
        await sentinel.command("SENTINEL", "MONITOR", "secure", "127.0.0.1", str(port), "2")
        try:
            url = f"rediss+sentinel://127.0.0.1:{asked}/secure"
            trusting = f"{url}?ssl_ca_certs={certificate.chain}"
            async with connected(trusting) as redis:
                assert (await redis.info("server"))["tcp_port"] == server.port
            async with connected(url) as distrusting:
                with pytest.raises(RedisError, match="no sentinel names a master"):
                    await distrusting.ping()
            inbox = Inbox()
            broker = broker_for(Settings(redis_url=trusting), "one")
            await broker.start(inbox)
            try:
                await broker.subscribe("room")
                broker.publish("room", b"secret")
                await inbox.has("room", b"secret")
            finally:
                await broker.stop()
        finally:
            await sentinel.command("SENTINEL", "REMOVE", "secure")


@pytest.fixture
def named_sentinels() -> Iterator[SentinelServers]:
    """Sentinels that give the name of the master's host."""
    lines = ["sentinel resolve-hostnames yes", "sentinel announce-hostnames yes"]
    with running_sentinels(host="localhost", lines=lines) as servers:
        yield servers


@pytest.mark.servers
async def test_a_pool_and_links_without_traffic_follow_a_failover_to_the_name_that_sentinels_announce(
    named_sentinels: SentinelServers,
) -> None:
    servers = named_sentinels
    inboxes = Inbox(), Inbox()
    settings = Settings(redis_url=servers.url, redis_timeout_seconds=TIMEOUT)
    async with connected(servers.url) as redis:
        brokers = [broker_for(settings, name) for name in ("one", "two")]
        for broker, inbox in zip(brokers, inboxes, strict=True):
            await broker.start(inbox)
        try:
            await brokers[0].subscribe("room")
            assert (await redis.info("server"))["tcp_port"] == servers.servers[0].port
            await servers.fail_over(to=1)
            # Without traffic, and although the old master answers all the time.
            for inbox in inboxes:
                await inbox.until(lambda box: bool(box.restored) and bool(box.lost))
            await until(lambda: all(broker.connected for broker in brokers))

            # The pool asks the sentinels by itself, and may hear it a little later than the links.
            async def has_followed() -> bool:
                return bool((await redis.info("server"))["tcp_port"] == servers.servers[1].port)

            assert await eventually(has_followed)
            brokers[1].publish("room", b"after")
            await inboxes[0].has("room", b"after")
            async with connected(servers.servers[1].url) as direct:
                clients = await direct.client_list()
                assert {"daveslist-one", "daveslist-two"} <= {one["name"] for one in clients}
        finally:
            for broker in brokers:
                await broker.stop()
