"""One deployment for all attacks, since each uses other addresses and accounts; and `siege`, which attacks it."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from development import child
from tests.attacks.siege import Siege
from tests.deployment.conftest import Deployment, production, running
from tests.support.attack_figures import FIGURES
from tests.support.processes import NURSERY, base_environment, environment_of
from tests.support.roles import as_owner
from tests.support.servers import Servers

FILES = 12_000
LISTINGS = 20_000
SEED_SECONDS = 200.0
"""It takes three seconds on a machine that is not busy."""


@pytest.fixture(scope="package")
def many_files() -> Iterator[None]:
    """Attackers open thousands of connections, and the processes inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, FILES)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def attacked(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory, many_files: None
) -> AsyncIterator[Deployment]:
    directory = tmp_path_factory.mktemp("attacked")
    with servers.database() as database_url, servers.empty_redis() as redis_url:
        # A gateway that is killed is missed soon, so that the test of it is short.
        settings = replace(production(database_url, redis_url, directory / "data"), node_lease_seconds=2.0)
        owner = replace(settings, database_url=as_owner(database_url))
        environment = {**base_environment(), **environment_of(owner)}
        seeding = NURSERY.start(
            "api", ["seed", "--users", "20", "--listings", str(LISTINGS)], environment, directory / "seeding.log"
        )
        assert await child.happens(lambda: seeding.poll() is not None, SEED_SECONDS), "seeding takes too long"
        assert seeding.poll() == 0, (directory / "seeding.log").read_text()
        async with running(settings, directory) as deployment:
            yield deployment


@pytest.fixture
def siege(attacked: Deployment, tmp_path: Path, record_property: Callable[[str, object], None]) -> Siege:
    return Siege(attacked, tmp_path, lambda line: record_property(FIGURES, line))
