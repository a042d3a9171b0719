"""Tests the promises of a Broker with the brokers in memory, on a Redis, behind sentinels and on a Redis Cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from development.redis import EmbeddedRedis
from shared.pubsub import broker_for
from shared.pubsub.broker import Broker
from shared.pubsub.memory import MemoryBroker, MemoryHub
from shared.pubsub.redis import RedisBroker
from shared.settings import Settings
from tests.support.cluster import ClusterServers, running_cluster
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.servers

PATIENCE = 10.0
"""Seconds. A cluster with nothing to tell is looked at less often than that."""

MakeBroker = Callable[..., Awaitable[Broker]]


class Inbox:
    """A Receiver that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.restored: list[float] = []
        self.lost: list[float] = []
        self.gaps: list[tuple[float, float]] = []
        """The times (start, end), by the loop's clock, in which messages may have been missed."""
        self._changed = asyncio.Event()

    def receive(self, topic: str, data: bytes) -> None:
        self.messages.append((topic, data))
        self._changed.set()

    def link_restored(self, away_seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self.restored.append(away_seconds)
        self.gaps.append((now - away_seconds, now))
        self._changed.set()

    def messages_lost(self, seconds: float) -> None:
        self.lost.append(seconds)
        self._changed.set()

    def covers(self, start: float, end: float) -> bool:
        """True if one gap includes the whole time from `start` to `end`."""
        return any(since <= start and end <= until for since, until in self.gaps)

    async def until(self, condition: Callable[[Inbox], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def has(self, topic: str, data: bytes) -> None:
        """Wait until this message has arrived on this topic."""
        await self.until(lambda box: (topic, data) in box.messages)


async def delivered(sender: Broker, inbox: Inbox, topic: str) -> list[bytes]:
    """Publish a last message, wait for it, and return all messages that arrived on the topic before it."""
    sender.publish(topic, b"last")
    await inbox.until(lambda box: (topic, b"last") in box.messages)
    got = [data for on, data in inbox.messages if on == topic]
    return got[: got.index(b"last")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterServers]:
    with running_cluster() as servers:
        yield servers


@pytest.fixture(params=["memory", "redis", "sentinel", "cluster"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """Asks for the servers here, because a running loop cannot start them."""
    match request.param:
        case "redis":
            return str(request.getfixturevalue("redis_url"))
        case "sentinel":
            return str(request.getfixturevalue("sentinels").url)
        case "cluster":
            return str(request.getfixturevalue("cluster").url)
    return ""


@pytest.fixture
async def make_broker(broker_url: str) -> AsyncIterator[MakeBroker]:
    started: list[Broker] = []
    hub = MemoryHub()
    settings = Settings(redis_url=broker_url)

    async def make(receiver: Inbox | None = None) -> Broker:
        broker = broker_for(settings, f"node{len(started)}") if broker_url else MemoryBroker(hub)
        await broker.start(receiver)
        started.append(broker)
        return broker

    yield make
    for broker in started:
        await broker.stop()


async def test_a_subscriber_gets_every_message_published_after_subscribe_returned(make_broker: MakeBroker) -> None:
    inbox = Inbox()
    subscriber, publisher = await make_broker(inbox), await make_broker()
    await subscriber.subscribe("room")
    for number in range(300):
        publisher.publish("room", b"%d" % number)
    assert await delivered(publisher, inbox, "room") == [b"%d" % number for number in range(300)]


async def test_only_messages_of_subscribed_topics_arrive(make_broker: MakeBroker) -> None:
    inbox = Inbox()
    subscriber, publisher = await make_broker(inbox), await make_broker()
    await subscriber.subscribe("wanted")
    publisher.publish("unwanted", b"no")
    assert await delivered(publisher, inbox, "wanted") == []
    assert all(topic == "wanted" for topic, _ in inbox.messages)


async def test_a_topic_is_unsubscribed_with_its_last_subscriber(make_broker: MakeBroker) -> None:
    inbox = Inbox()
    subscriber, publisher = await make_broker(inbox), await make_broker()
    await subscriber.subscribe("marker")
    await asyncio.gather(*(subscriber.subscribe("room") for _ in range(3)))
    subscriber.unsubscribe("room")
    subscriber.unsubscribe("room")
    publisher.publish("room", b"still")
    await inbox.until(lambda box: ("room", b"still") in box.messages)
    subscriber.unsubscribe("room")
    await subscriber.subscribe("barrier")  # Redis handles commands in order, so the unsubscribe is done by now.
    publisher.publish("room", b"gone")
    await delivered(publisher, inbox, "marker")
    assert ("room", b"gone") not in inbox.messages


async def test_no_message_is_missed_after_subscribing_again(make_broker: MakeBroker) -> None:
    inbox = Inbox()
    subscriber, publisher = await make_broker(inbox), await make_broker()
    for number in range(50):
        await subscriber.subscribe("room")
        publisher.publish("room", b"%d" % number)
        await inbox.has("room", b"%d" % number)
        subscriber.unsubscribe("room")
        if number % 3 == 0:
            await asyncio.sleep(0)
        if number % 7 == 0:
            await subscriber.subscribe(f"barrier{number}")
    assert [data for topic, data in inbox.messages if topic == "room"] == [b"%d" % number for number in range(50)]


async def test_any_bytes_arrive_unchanged_on_any_topic(make_broker: MakeBroker) -> None:
    inbox = Inbox()
    subscriber, publisher = await make_broker(inbox), await make_broker()
    for topic, data in (("é✓🚗", bytes(range(256))), ("a b\r\n", b""), ("", b"\r\n")):
        await subscriber.subscribe(topic)
        publisher.publish(topic, data)
        await inbox.has(topic, data)


# Promises of a broker on Redis


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def pair(redis_url: str) -> AsyncIterator[tuple[RedisBroker, Inbox, RedisBroker, Inbox]]:
    settings = Settings(redis_url=redis_url, redis_timeout_seconds=1.0, max_publish_queue=100)
    inboxes = Inbox(), Inbox()
    brokers = RedisBroker(settings, "one"), RedisBroker(settings, "two")
    for broker, inbox in zip(brokers, inboxes, strict=True):
        await broker.start(inbox)
    yield brokers[0], inboxes[0], brokers[1], inboxes[1]
    for broker in brokers:
        await broker.stop()


async def test_a_killed_link_is_restored_with_all_its_topics(
    pair: tuple[RedisBroker, Inbox, RedisBroker, Inbox], redis: Redis
) -> None:
    one, inbox_one, two, _ = pair
    await asyncio.gather(*(one.subscribe(f"room{number}") for number in range(1200)))
    await redis.client_kill_filter(_type="pubsub")
    await inbox_one.until(lambda box: bool(box.restored))
    two.publish("room0", b"a")
    two.publish("room1199", b"b")
    await inbox_one.until(lambda box: {("room0", b"a"), ("room1199", b"b")} <= set(box.messages))


async def test_messages_lost_with_a_link_are_reported_when_the_link_is_back(
    pair: tuple[RedisBroker, Inbox, RedisBroker, Inbox], redis: Redis
) -> None:
    one, inbox_one, two, inbox_two = pair
    await one.subscribe("room")
    clients = await redis.client_list()
    await redis.client_kill_filter(_id=next(client["id"] for client in clients if client["name"] == "daveslist-two"))
    for number in range(150):
        two.publish("room", b"%d" % number)
    await inbox_two.until(lambda box: bool(box.lost))
    assert 0 < inbox_two.lost[0] < PATIENCE
    got = [int(data) for topic, data in inbox_one.messages if topic == "room"]
    assert got == sorted(set(got))
    two.publish("room", b"after")
    await inbox_one.until(lambda box: ("room", b"after") in box.messages)


@pytest.fixture
async def limited(redis: Redis, redis_url: str) -> AsyncIterator[tuple[RedisBroker, Inbox]]:
    """A broker whose Redis user may use only the channels that `may_use` names. At first it may use all."""
    await may_use(redis, "allchannels")
    url = redis_url.replace("://", "://limited:secret@", 1)
    broker, inbox = RedisBroker(Settings(redis_url=url, redis_timeout_seconds=1.0), "limited"), Inbox()
    await broker.start(inbox)
    yield broker, inbox
    await broker.stop()
    await redis.acl_deluser("limited")


async def may_use(redis: Redis, *channels: str) -> None:
    client: Any = redis
    await client.execute_command("ACL", "SETUSER", "limited", "on", ">secret", "+@all", "resetchannels", *channels)


async def test_a_publish_that_redis_refuses_is_reported_as_lost(
    limited: tuple[RedisBroker, Inbox], redis: Redis
) -> None:
    broker, inbox = limited
    await may_use(redis, "&daveslist:room")
    broker.publish("elsewhere", b"refused")
    await inbox.until(lambda box: bool(box.lost))
    assert broker.connected
    assert not inbox.restored


async def test_a_refused_subscription_is_repeated_until_redis_confirms_it(
    limited: tuple[RedisBroker, Inbox], redis: Redis
) -> None:
    broker, inbox = limited
    await may_use(redis, "&daveslist:elsewhere")
    before = await refusals(redis)
    joining = asyncio.create_task(broker.subscribe("room"))
    async with asyncio.timeout(PATIENCE):
        while await refusals(redis) < before + 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await may_use(redis, "allchannels")
    await joining
    broker.publish("room", b"heard")
    await inbox.has("room", b"heard")


async def until_connected(broker: Broker, connected: bool) -> None:
    await until(lambda: broker.connected is connected)


async def refusals(redis: Redis) -> int:
    """The number of commands that Redis has refused because a permission was missing."""
    info = await redis.info("stats")
    return int(info["acl_access_denied_channel"])


async def test_without_redis_messages_wait_up_to_the_limit(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "redis", port=free_port())
    await server.start()
    broker = RedisBroker(Settings(redis_url=server.url, redis_timeout_seconds=0.5, max_publish_queue=100), "one")
    inbox = Inbox()
    await broker.start(inbox)
    try:
        await server.stop()
        await until_connected(broker, False)
        for number in range(150):
            broker.publish("room", b"%d" % number)
        assert broker.unpublished == 100
        await server.start()
        await inbox.until(lambda box: bool(box.restored))
        await until(lambda: not broker.unpublished)
    finally:
        await broker.stop()
        await server.stop()


async def test_subscribe_times_out_without_redis(redis_url: str) -> None:
    settings = Settings(redis_url=redis_url, subscribe_timeout_seconds=0.2, redis_timeout_seconds=0.5)
    away = RedisBroker(replace(settings, redis_url="redis://127.0.0.1:1"), "away")
    await away.start(Inbox())
    try:
        with pytest.raises(TimeoutError):
            await away.subscribe("room")
        assert not away.connected
    finally:
        await away.stop()


async def test_deployments_with_different_prefixes_do_not_get_each_others_messages(redis_url: str) -> None:
    inbox = Inbox()
    mine = RedisBroker(Settings(redis_url=redis_url, redis_prefix="mine:"), "mine")
    other = RedisBroker(Settings(redis_url=redis_url, redis_prefix="other:"), "other")
    await mine.start(inbox)
    await other.start(None)
    try:
        await mine.subscribe("room")
        other.publish("room", b"other")
        await other.stop()
        mine.publish("room", b"mine")
        await inbox.until(lambda box: ("room", b"mine") in box.messages)
        assert inbox.messages == [("room", b"mine")]
    finally:
        await mine.stop()


# Promises of a broker on a Redis Cluster


async def test_a_user_of_a_cluster_needs_no_right_to_client(cluster: ClusterServers) -> None:
    for server in (*cluster.masters, *cluster.replicas):
        client: Any
        async with Redis.from_url(server.url) as client:
            rights = ["on", ">secret", "~*", "&*", "+@all", "-client"]
            await client.execute_command("ACL", "SETUSER", "few", *rights)
    inbox = Inbox()
    broker = broker_for(Settings(redis_url=cluster.url.replace("://", "://few:secret@")), "one")
    await broker.start(inbox)
    try:
        for number in range(20):
            await broker.subscribe(f"room{number}")
            broker.publish(f"room{number}", b"heard")
        for number in range(20):
            await inbox.has(f"room{number}", b"heard")
    finally:
        await broker.stop()


async def test_topics_of_a_failed_master_arrive_again_after_the_failover(cluster: ClusterServers) -> None:
    settings = Settings(redis_url=cluster.url, redis_timeout_seconds=1.0, subscribe_timeout_seconds=20.0)
    inbox, topics = Inbox(), [f"room{number}" for number in range(60)]
    subscriber, publisher = broker_for(settings, "one"), broker_for(settings, "two")
    await subscriber.start(inbox)
    await publisher.start(Inbox())
    try:
        await asyncio.gather(*(subscriber.subscribe(topic) for topic in topics))
        for topic in topics:
            publisher.publish(topic, b"before")
        await inbox.until(lambda box: len(box.messages) == len(topics))
        assert {topic for topic, _ in inbox.messages} == set(topics)
        cluster.masters[2].kill()
        async with asyncio.timeout(PATIENCE_SECONDS):
            # Messages of this time may be lost. The promise is that a gap is reported, and that it ends.
            while not {(topic, b"after") for topic in topics} <= set(inbox.messages):
                for topic in topics:
                    publisher.publish(topic, b"after")
                await asyncio.sleep(0.1)
        assert inbox.restored
        assert subscriber.connected
    finally:
        await subscriber.stop()
        await publisher.stop()


async def test_every_message_lost_without_a_master_is_reported(cluster: ClusterServers) -> None:
    """The replica is held back, so that its topics have no master for a while."""
    settings = Settings(redis_url=cluster.url, redis_timeout_seconds=1.0, subscribe_timeout_seconds=1.5)
    inbox, others = Inbox(), Inbox()
    topics = [f"room{number}" for number in range(60)]
    subscriber = broker_for(settings, "one")
    publisher = broker_for(replace(settings, max_publish_queue=len(topics)), "two")
    await subscriber.start(inbox)
    await publisher.start(others)
    loop = asyncio.get_running_loop()
    try:
        await asyncio.gather(*(subscriber.subscribe(topic) for topic in topics))
        await cluster.hold_back(1)
        said = loop.time()
        cluster.masters[1].kill()
        await cluster.has_no_master_of(1)
        await until_connected(subscriber, False)
        await until_connected(publisher, False)
        with pytest.raises(TimeoutError):
            # A join must wait for Redis also when others have joined the topic before.
            await asyncio.gather(*(subscriber.subscribe(topic) for topic in topics))
        for _ in range(10):
            for topic in topics:
                publisher.publish(topic, b"meanwhile")
            await asyncio.sleep(0.02)
        assert publisher.unpublished
        at = loop.time()
        await cluster.let_go(1)
        async with asyncio.timeout(PATIENCE):
            while not {(topic, b"after") for topic in topics} <= set(inbox.messages):
                for topic in topics:
                    publisher.publish(topic, b"after")
                await asyncio.sleep(0.05)
        assert inbox.covers(said, at), inbox.gaps
        assert others.lost, "more messages were published than the queue holds"
        await until_connected(subscriber, True)
        await until_connected(publisher, True)
        assert not publisher.unpublished
    finally:
        await subscriber.stop()
        await publisher.stop()


async def test_a_topic_is_subscribed_at_the_new_master_when_its_slot_moves(cluster: ClusterServers) -> None:
    settings = Settings(redis_url=cluster.url, redis_timeout_seconds=1.0)
    inbox, others, loop = Inbox(), Inbox(), asyncio.get_running_loop()
    subscriber, publisher = broker_for(settings, "one"), broker_for(settings, "two")
    await subscriber.start(inbox)
    await publisher.start(others)
    slots = {f"room{number}": key_slot(f"{settings.redis_prefix}room{number}".encode()) for number in range(200)}
    moving, staying = [topic for topic in slots if slots[topic] < 5000][:2]
    try:
        await subscriber.subscribe(moving)
        await subscriber.subscribe(staying)
        before = loop.time()
        await cluster.move_slot(slots[moving])
        moved = loop.time()
        # The move is noticed although nobody publishes on the topic.
        await inbox.until(lambda box: bool(box.gaps))
        assert loop.time() - before < PATIENCE
        # What arrived until the move itself, which takes some time, is not missed.
        assert inbox.gaps[0][0] <= moved
        publisher.publish(moving, b"to the old master")
        publisher.publish(staying, b"heard as ever")
        await inbox.has(staying, b"heard as ever")
        async with asyncio.timeout(PATIENCE):
            while (moving, b"after") not in inbox.messages:
                publisher.publish(moving, b"after")
                await asyncio.sleep(0.05)
        if (moving, b"to the old master") not in inbox.messages:
            await others.until(lambda box: bool(box.lost))
    finally:
        await subscriber.stop()
        await publisher.stop()
