"""Several workers serve on one port: they share connections, are replaced without a refusal, and end with their parent.

They are real processes. The tests of a module share them, so each test takes them as it finds them.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from itertools import pairwise

import aiohttp
import pytest
import pytest_asyncio

from development.child import happens
from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.settings import Settings
from tests.gateway.transports.longpoll.client import LongPollClient
from tests.support.database import add_users
from tests.support.ports import free_port
from tests.support.processes import NURSERY, Node, Processes, base_environment, environment_of
from tests.support.secret import JWT_SECRET
from tests.support.servers import Servers
from tests.workers.crew import (
    SOON,
    Page,
    all_ended,
    all_up,
    begun,
    end,
    living,
    logged,
    more_served,
    page,
    replaced,
    values,
    visitors,
)

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

CONNECTIONS = 2_000
LARGEST_SHARE = 0.6
GATEWAY, API = "/health/accepting", "/health/ready"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def processes(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Processes]:
    folder = tmp_path_factory.mktemp("workers")
    with servers.database() as database_url, servers.empty_redis() as redis_url:
        settings = Settings(
            database_url=database_url,
            redis_url=redis_url,
            jwt_secrets=(JWT_SECRET,),
            data_directory=folder / "data",
            drain_seconds=0.2,
            shutdown_seconds=10.0,
            request_head_seconds=SOON,
            gateway_workers=2,
        )
        running = Processes(settings, folder)
        try:
            yield running
        finally:
            await running.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(processes: Processes) -> Node:
    """A gateway with two workers."""
    started = await processes.gateway()
    await all_up(started)
    return started


async def api_of_two(processes: Processes) -> Node:
    """An API with two workers."""
    port = free_port()
    return await processes.start(
        "api", "--workers", "2", port=port, environment={"API_PORT": str(port)}, ready="/health/ready"
    )


def not_backwards(before: Page, after: Page) -> None:
    """Fail if a counter of the page is smaller than before, or gone."""
    for key, value in before.items():
        if key[0].endswith(("_total", "_bucket", "_count", "_sum")):
            assert after[key] >= value, key


async def test_no_worker_has_more_than_its_share_of_the_connections(gateway: Node) -> None:
    before = values(await all_up(gateway), "process_open_fds")
    writers: list[asyncio.StreamWriter] = []
    try:
        for _ in range(CONNECTIONS // 100):
            opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(100)))
            writers += [writer for _, writer in opened]
        async with asyncio.timeout(SOON):
            while True:
                now = values(await all_up(gateway), "process_open_fds")
                shares = [now[worker] - before[worker] for worker in ("1", "2")]
                if sum(shares) >= CONNECTIONS:
                    break
                await asyncio.sleep(0.05)
    finally:
        for writer in writers:
            writer.close()
        for writer in writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    assert max(shares) <= LARGEST_SHARE * CONNECTIONS


async def test_each_worker_is_a_node_of_its_own_and_one_page_has_all(gateway: Node) -> None:
    found = await all_up(gateway)
    nodes = {dict(labels)["node"] for name, labels in found if name == "daveslist_process_info"}
    assert len(nodes) == 2
    assert set(values(found, "gateway_connections")) == {"1", "2"}


async def test_a_long_poll_reaches_its_session_through_any_worker(processes: Processes, gateway: Node) -> None:
    [user_id] = add_users(processes.settings.database_url, 1)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        client = LongPollClient(http, [f"{gateway.url}/socket/longpoll"])
        client.jwt = Tokens(processes.settings.jwt_secrets, 3600).issue(user_id, Role.USER, None)
        await client.open()
        for number in range(1, 9):
            # Each request has a connection of its own, and so comes to either worker.
            assert await client.post([None, str(number), "phoenix", "heartbeat", {}]) == 200
            messages = (await client.poll())["messages"]
            assert str(number) in str(messages)


async def test_a_worker_that_is_killed_is_replaced_and_counts_go_on(gateway: Node) -> None:
    async with visitors(gateway, GATEWAY) as visits:
        before = await page(gateway)
        [*_, killed], [*_, other] = begun(gateway)[1], begun(gateway)[2]
        end(killed, signal.SIGKILL)
        assert await happens(lambda: begun(gateway)[1][-1] != killed, SOON)
        after = await all_up(gateway)
        await more_served(visits, 50)
    not_backwards(before, after)
    assert begun(gateway)[2][-1] == other
    [*_, line] = logged(gateway, "a worker has ended; another one takes its place")
    assert (line["worker"], line["pid"], line["ended"], line["wait_seconds"]) == (1, killed, "signal 9", 0.0)
    # Only what the worker was doing when it died is lost.
    assert len(visits.failed) <= 4, visits.failed


@pytest.mark.parametrize("module", ["api", "gateway"])
async def test_a_worker_that_is_killed_is_replaced_within_a_second(
    processes: Processes, gateway: Node, module: str
) -> None:
    parent = gateway if module == "gateway" else await api_of_two(processes)
    await all_up(parent)
    seconds, allowed = await replaced(parent, "/health/live")
    print(f"{module}: {seconds:.2f} s from the kill to the replacement's first answer, of {allowed:.2f} s")
    assert seconds <= allowed
    if parent is not gateway:
        assert await parent.stop() == 0


async def test_sighup_replaces_the_workers_one_by_one_and_refuses_nobody(gateway: Node) -> None:
    first = {number: pids[-1] for number, pids in begun(gateway).items()}
    pages = [await page(gateway)]
    async with visitors(gateway, GATEWAY) as visits:
        gateway.signal(signal.SIGHUP)
        while not logged(gateway, "the workers are replaced"):
            pages.append(await page(gateway))
            await asyncio.sleep(0.02)
        await more_served(visits, 50)
    assert visits.failed == []
    assert visits.served >= 100
    for before, after in pairwise(pages):
        not_backwards(before, after)
    second = {number: pids[-1] for number, pids in begun(gateway).items()}
    assert not set(first.values()) & set(second.values())
    # The second worker began to be replaced when the first one had ended.
    order = [line["worker"] for line in logged(gateway, "a worker is replaced")]
    assert order == [1, 2]
    assert await all_ended(set(first.values()))


async def test_the_death_of_the_parent_ends_the_workers(processes: Processes) -> None:
    gateway = await processes.gateway()
    await all_up(gateway)
    children = living(gateway)
    gateway.kill()
    assert await all_ended(children)


async def test_the_workers_of_an_api_are_replaced_without_a_failed_request(processes: Processes) -> None:
    api = await api_of_two(processes)
    await all_up(api)
    async with visitors(api, API) as visits:
        api.signal(signal.SIGHUP)
        assert await happens(lambda: bool(logged(api, "the workers are replaced")), SOON)
        await more_served(visits, 50)
    assert visits.failed == []
    assert await api.stop() == 0


@pytest.mark.parametrize("module", ["api", "gateway"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://me@127.0.0.1/db?nonsense=1"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096"),
        ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "nobody"),
    ],
)
async def test_a_wrong_setting_ends_all_with_one_line(processes: Processes, module: str, name: str, value: str) -> None:
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    given = {**base_environment(), **environment_of(processes.settings), **traced, name: value}
    done = await asyncio.to_thread(NURSERY.run, module, "--workers", "2", environment=given)
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert (name if "PYTHON" not in name else "OTEL_*: ") in line


@pytest.mark.parametrize("module", ["api", "gateway"])
@pytest.mark.parametrize(("given", "status", "reason"), [("2", 2, "--workers"), ("3000", 1, "bad file descriptor")])
async def test_the_option_of_a_worker_is_not_for_people(module: str, given: str, status: int, reason: str) -> None:
    done = await asyncio.to_thread(NURSERY.run, module, "--worker", given, environment=base_environment())
    assert done.returncode == status
    assert reason in done.stderr.lower()
    assert "Traceback" not in done.stderr


async def test_a_host_that_is_not_found_is_said(processes: Processes) -> None:
    host = {"GATEWAY_HOST": "no-such-host.invalid"}
    given = {**base_environment(), **environment_of(processes.settings), **host}
    for arguments in ((), ("--workers", "2")):
        done = await asyncio.to_thread(NURSERY.run, "gateway", *arguments, environment=given)
        assert done.returncode == 1
        assert "unknown error" not in done.stderr
        assert "cannot listen on no-such-host.invalid:" in done.stderr


async def test_another_parent_cannot_share_the_port_and_sigterm_ends_all_workers(processes: Processes) -> None:
    gateway = await processes.gateway()
    given = {**base_environment(), **environment_of(processes.settings), "GATEWAY_PORT": str(gateway.port)}
    done = await asyncio.to_thread(NURSERY.run, "gateway", environment=given)
    assert done.returncode == 1
    assert done.stderr.startswith("python -m gateway: GATEWAY_HOST, GATEWAY_PORT: cannot listen on 127.0.0.1:")
    await all_up(gateway)
    children = living(gateway)
    assert len(children) == 3
    gateway.signal(signal.SIGTERM)
    assert await gateway.ended() == 0
    assert await all_ended(children)
    assert len(logged(gateway, "draining")) == 2
