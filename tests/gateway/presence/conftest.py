"""Nodes of presence for tests: on a store in memory that can be unreachable, and on a real Redis."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.presence.store import Store
from gateway.presence.store_redis import RedisStore
from shared.settings import Settings
from tests.gateway.presence.cluster import Cluster
from tests.gateway.presence.unreliable_store import UnreliableStore


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
def new_store(request: pytest.FixtureRequest) -> Callable[[], Store]:
    """Asks for the Redis here, because a running loop cannot start it."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        return lambda: RedisStore.of(Settings(redis_url=url))
    shared = UnreliableStore()
    return lambda: shared


@pytest.fixture
async def cluster(new_store: Callable[[], Store], caplog: pytest.LogCaptureFixture) -> AsyncIterator[Cluster]:
    cluster = Cluster(new_store)
    yield cluster
    await cluster.stop()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.fixture
async def memory() -> AsyncIterator[tuple[Cluster, UnreliableStore]]:
    store = UnreliableStore()
    cluster = Cluster(lambda: store)
    yield cluster, store
    store.available = True
    await cluster.stop()
