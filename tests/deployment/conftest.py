"""The deployment without its containers: two gateways and two APIs in production mode, behind nginx."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest
import pytest_asyncio

from shared.settings import Settings
from tests.deployment.nginx import Nginx, find_nginx, running_nginx
from tests.support.processes import Node, Processes
from tests.support.secret import JWT_SECRET
from tests.support.servers import Servers


@dataclass
class Deployment:
    settings: Settings
    gateways: list[Node]
    apis: list[Node]
    nginx: Nginx
    processes: Processes

    @property
    def ports(self) -> dict[str, int]:
        """The port of each process, by its name and port in upstreams.conf."""
        ports = {f"gateway-{number}:4000": node.port for number, node in enumerate(self.gateways, 1)}
        return ports | {f"api-{number}:4001": node.port for number, node in enumerate(self.apis, 1)}

    @property
    def process_ids(self) -> list[int]:
        """The ids of all processes: nginx with its workers, gateways and APIs."""
        workers = [worker.pid for worker in self.nginx.process.children()]
        return [self.nginx.process.pid, *workers, *(node.pid for node in (*self.gateways, *self.apis))]

    async def replace_gateway(self, number: int) -> None:
        """Stop a gateway as a deployment does, and start another in its place."""
        assert await self.gateways[number].stop() == 0
        await self.start_gateway(number)

    async def start_gateway(self, number: int) -> None:
        """Start another gateway in the place of one that has ended."""
        self.gateways[number] = await self.processes.again(self.gateways[number])


def production(database_url: str, redis_url: str, data: Path) -> Settings:
    """The same settings as in compose.yaml."""
    return Settings(
        environment="production",
        database_url=database_url,
        redis_url=redis_url,
        jwt_secrets=(JWT_SECRET,),
        data_directory=data,
        trusted_proxies=(ip_network("127.0.0.1/32"),),
        drain_seconds=0.5,
        shutdown_seconds=10.0,
    )


@asynccontextmanager
async def running(settings: Settings, directory: Path, *, of: Path | None = None) -> AsyncIterator[Deployment]:
    """Run a deployment, of the checkout `of` if it is given; what replaces its processes is of this one."""
    program = find_nginx()
    if program is None:
        pytest.skip("no nginx on this machine")
    processes = Processes(settings, directory)
    first = processes if of is None else Processes(settings, directory, of, nursery=None)
    try:
        # The schema has been applied, so no process has to wait for another.
        gateway, other_gateway, api, other_api = await asyncio.gather(
            first.gateway(), first.gateway(), first.api(), first.api()
        )
        ports = {"gateway-1:4000": gateway.port, "gateway-2:4000": other_gateway.port}
        ports |= {"api-1:4001": api.port, "api-2:4001": other_api.port}
        async with running_nginx(program, ports) as nginx:
            yield Deployment(settings, [gateway, other_gateway], [api, other_api], nginx, processes)
    finally:
        await asyncio.gather(*(started.stop() for started in {first, processes}))


@pytest.fixture(scope="module")
def module_settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with servers.database() as database_url, servers.empty_redis() as redis_url:
        yield production(database_url, redis_url, tmp_path_factory.mktemp("data"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(module_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    """A deployment for all tests of a module; they must not change it."""
    async with running(module_settings, tmp_path_factory.mktemp("processes")) as deployed:
        yield deployed


@pytest.fixture
async def own_deployment(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    """A deployment for one test, which may end its processes."""
    async with running(production(database_url, redis_url, tmp_path / "data"), tmp_path) as deployed:
        yield deployed
