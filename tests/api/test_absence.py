"""Who is online is said by Redis and by the gateways' reports; if one of them cannot say it, nobody knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace

import pytest

from api.absence import Absence, NobodyKnows
from shared.events import topics
from shared.postgres import Database, Statement
from shared.pubsub import broker_for
from shared.pubsub.broker import Broker
from shared.repositories.nodes import NodeRepository
from shared.settings import Settings
from tests.support.cluster import ClusterServers, running_cluster
from tests.support.ports import free_port
from tests.support.sentinels import SentinelServers

GATEWAY = "abcdef0123456789"
Gateway = Callable[..., Awaitable[Broker]]


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings)
    yield database
    await database.close()


@pytest.fixture
async def absence(settings: Settings, database: Database) -> AsyncIterator[Absence]:
    absence = Absence(settings, database)
    yield absence
    await absence.close()


@pytest.fixture
async def gateway(settings: Settings, database: Database) -> AsyncIterator[Gateway]:
    """Starts the link of a gateway that is alive, on a Redis, behind sentinels or on a cluster."""
    brokers: list[Broker] = []

    async def start(node: str = GATEWAY, redis_url: str = settings.redis_url) -> Broker:
        broker = broker_for(replace(settings, redis_url=redis_url), node)
        brokers.append(broker)
        await broker.start(None)
        await broker.subscribe(topics.node(node))
        await NodeRepository(database).report(node, lease_seconds=settings.node_lease_seconds, is_heard=True, unheard=0)
        return broker

    yield start
    for broker in brokers:
        await broker.stop()


async def test_whoever_has_joined_on_any_node_is_online_until_the_last_one_has_left(
    absence: Absence, gateway: Gateway
) -> None:
    assert await absence.online([1, 2]) == set()
    one, other = await gateway(), await gateway("0123456789abcdef")
    await one.subscribe(topics.private_chat(1))
    await other.subscribe(topics.private_chat(1))
    await other.subscribe(topics.alerts(3))
    assert await absence.online([1, 2, 3, 31]) == {1, 3}
    one.unsubscribe(topics.private_chat(1))
    assert await absence.online([1, 2, 3]) == {1, 3}
    assert await absence.online([]) == set()


async def test_nobody_is_away_while_redis_does_not_answer(settings: Settings, database: Database) -> None:
    nowhere = replace(settings, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    absence = Absence(nowhere, database)
    with pytest.raises(NobodyKnows):
        await absence.online([1])
    await absence.close()


async def test_nobody_is_away_while_a_gateway_has_no_link_and_somebody_is_when_it_has_died(
    absence: Absence, gateway: Gateway, settings: Settings, database: Database
) -> None:
    await gateway()
    other = await gateway("0123456789abcdef")
    assert await absence.online([1]) == set()
    # Its link breaks before its next report.
    await other.stop()
    with pytest.raises(NobodyKnows, match="just lost"):
        await absence.online([1])
    # It reports that it has none.
    nodes = NodeRepository(database)

    async def reports_no_link(node: str) -> None:
        await nodes.report(node, lease_seconds=settings.node_lease_seconds, is_heard=False, unheard=0)

    await reports_no_link("0123456789abcdef")
    with pytest.raises(NobodyKnows, match="no link"):
        await absence.online([1])
    # An API without a link has no sockets.
    await reports_no_link("api-1")
    await database.execute(Statement("", "UPDATE nodes SET alive_until = now() WHERE id LIKE '0%%'"))
    assert await absence.online([1]) == set()


async def test_the_master_behind_sentinels_is_asked(
    sentinels: SentinelServers, settings: Settings, database: Database, gateway: Gateway
) -> None:
    broker = await gateway(redis_url=sentinels.url)
    absence = Absence(replace(settings, redis_url=sentinels.url), database)
    try:
        await broker.subscribe(topics.private_chat(1))
        assert await absence.online([1, 2]) == {1}
    finally:
        await absence.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterServers]:
    with running_cluster() as servers:
        yield servers


@pytest.mark.servers
async def test_every_master_of_a_cluster_is_asked(
    cluster: ClusterServers, settings: Settings, database: Database, gateway: Gateway
) -> None:
    broker = await gateway(redis_url=cluster.url)
    absence = Absence(replace(settings, redis_url=cluster.url), database)
    joined = set(range(1, 60, 2))
    for user in joined:
        await broker.subscribe(topics.private_chat(user))
    assert await absence.online(range(1, 60)) == joined
    # As long as a slot has no master, nobody is away.
    await cluster.hold_back(2)
    cluster.masters[2].kill()
    with pytest.raises(NobodyKnows):
        await absence.online(range(1, 60))
    await absence.close()
