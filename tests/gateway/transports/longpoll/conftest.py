"""Nodes for the tests of long polling, with a broker in memory and with Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.gateway.transports.longpoll.client import Cluster


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    # The number of connections has no limit, so that no request waits for another one.
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """Nodes that share a broker in memory."""
    nodes = Cluster()
    try:
        yield nodes
    finally:
        await nodes.stop()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
def broker_url(request: pytest.FixtureRequest) -> str:
    """The URL of a real Redis, or "" for a broker in memory."""
    return str(request.getfixturevalue("redis_url")) if request.param == "redis" else ""


@pytest.fixture
async def each_cluster(broker_url: str) -> AsyncIterator[Cluster]:
    """Nodes that share a broker. A test runs once with each kind of broker."""
    nodes = Cluster(broker_url)
    try:
        yield nodes
    finally:
        await nodes.stop()
