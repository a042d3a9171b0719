"""An API and two gateway nodes, as processes, for all tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from shared.settings import Settings
from tests.support.client import Rest
from tests.support.processes import Node, Processes
from tests.support.secret import JWT_SECRET
from tests.support.servers import Servers
from tests.support.unhurried import unhurried


@dataclass
class Daveslist:
    """Two gateway nodes and an API on one Postgres and one Redis."""

    processes: Processes
    api: Node
    gateways: tuple[Node, Node]
    rest: Rest


@contextmanager
def settings_on(servers: Servers, data: Path) -> Iterator[Settings]:
    """Settings with a database and a Redis that no other test uses, and without rate limits."""
    with servers.database() as database_url, servers.empty_redis() as redis_url:
        given = Settings(
            database_url=database_url,
            redis_url=redis_url,
            jwt_secrets=(JWT_SECRET,),
            data_directory=data,
            drain_seconds=0.2,
            shutdown_seconds=10.0,
            rate_limits=False,
            # Everybody is new here.
            new_account_listings=100_000,
            new_account_people=100_000,
        )
        yield unhurried(given)


@pytest.fixture(scope="module")
def deployment(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with settings_on(servers, tmp_path_factory.mktemp("data")) as settings:
        yield replace(settings, redis_timeout_seconds=1.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daveslist(deployment: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daveslist]:
    processes = Processes(deployment, tmp_path_factory.mktemp("processes"))
    try:
        api = await processes.api()
        gateways = await processes.gateway(), await processes.gateway()
        async with Rest(api.url) as rest:
            yield Daveslist(processes, api, gateways, rest)
    finally:
        await processes.stop()
