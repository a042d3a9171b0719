"""The parent of several workers goes on when it cannot start another process, and starts no worker more than it has to.

The parent is a real process, and the machine refuses it a new file descriptor as it would at its limit.
"""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
import pytest_asyncio

from development.child import happens
from shared.settings import Settings
from tests.support.freezing import freeze
from tests.support.processes import Node, Processes
from tests.support.secret import JWT_SECRET
from tests.support.servers import Servers
from tests.workers.crew import (
    SOON,
    all_ended,
    all_up,
    begun,
    counted,
    end,
    logged,
    more_served,
    one_waits,
    values,
    visitors,
)

pytestmark = pytest.mark.servers

ACCEPTING = "/health/accepting"
FAILURES = "daveslist_worker_reload_failures_total"


@pytest_asyncio.fixture
async def processes(servers: Servers, tmp_path: Path) -> AsyncIterator[Processes]:
    """Each gateway has two workers."""
    with servers.database() as database_url, servers.empty_redis() as redis_url:
        settings = Settings(
            database_url=database_url,
            redis_url=redis_url,
            jwt_secrets=(JWT_SECRET,),
            data_directory=tmp_path / "data",
            drain_seconds=0.2,
            shutdown_seconds=10.0,
            gateway_workers=2,
        )
        running = Processes(settings, tmp_path)
        try:
            yield running
        finally:
            await running.stop()


@pytest_asyncio.fixture
async def gateway(processes: Processes) -> Node:
    started = await processes.gateway()
    await all_up(started)
    return started


@contextmanager
def no_more_descriptors(parent: Node) -> Iterator[None]:
    """While this lasts, the parent can open nothing, and so start no process."""
    process = psutil.Process(parent.pid)
    soft, hard = process.rlimit(resource.RLIMIT_NOFILE)
    process.rlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        process.rlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_worker_that_cannot_be_replaced_yet_harms_no_other(gateway: Node) -> None:
    await one_waits(gateway)
    [killed], [other] = begun(gateway)[1], begun(gateway)[2]
    async with visitors(gateway, ACCEPTING) as visits:
        with no_more_descriptors(gateway):
            # The process that waits takes the place, and no other one can be started to wait.
            end(killed, signal.SIGKILL)
            assert await happens(lambda: bool(logged(gateway, "no process waits to replace a worker")), SOON)
            [_, second] = begun(gateway)[1]
            end(second, signal.SIGKILL)
            assert await happens(lambda: len(logged(gateway, "a worker cannot be started")) >= 2, SOON)
            await more_served(visits, 50)
        assert await happens(lambda: len(begun(gateway)[1]) == 3, SOON)
        await all_up(gateway)
        await more_served(visits, 50)
    assert begun(gateway)[2] == [other]
    # Only what the workers were doing when they were killed is lost.
    print("FAILED", *visits.failed, sep="\n")
    print(gateway.output())
    assert len(visits.failed) <= 8, visits.failed
    assert await gateway.stop() == 0


async def test_a_reload_for_which_no_process_can_be_started_leaves_the_workers(gateway: Node) -> None:
    await one_waits(gateway)
    before = begun(gateway)
    with no_more_descriptors(gateway):
        gateway.signal(signal.SIGHUP)
        assert await happens(lambda: bool(logged(gateway, "the reload has ended early; the other workers stay")), SOON)
    assert begun(gateway) == before
    assert len(logged(gateway, "a worker's successor cannot be started; the worker stays")) == 1
    # Nobody reads the parent's log all the time: any worker shows that.
    found = await counted(gateway, FAILURES)
    assert values(found, FAILURES) == {"1": 1.0, "2": 0.0}
    # It has a metric of its own, and is no fault of the program.
    assert values(found, "daveslist_faults_total")["parent"] == 0.0
    gateway.signal(signal.SIGHUP)
    assert await happens(lambda: bool(logged(gateway, "the workers are replaced")), SOON)
    assert await gateway.stop() == 0


async def test_a_reload_starts_a_worker_that_waits_to_begin_only_once(gateway: Node) -> None:
    def waits_long() -> bool:
        *_, line = logged(gateway, "a worker has ended; another one takes its place")
        return float(str(line["wait_seconds"])) >= 4.0

    while True:
        number = len(begun(gateway)[1])
        end(begun(gateway)[1][-1], signal.SIGKILL)
        ended = "a worker has ended; another one takes its place"
        assert await happens(lambda: len(logged(gateway, ended)) == number, SOON)  # noqa: B023
        if waits_long():
            break
        assert await happens(lambda: len(begun(gateway)[1]) == number + 1, SOON)  # noqa: B023
    gateway.signal(signal.SIGHUP)
    assert await happens(lambda: bool(logged(gateway, "the workers are replaced")), SOON)
    assert len(begun(gateway)[1]) == number + 1
    assert len(begun(gateway)[2]) == 2
    assert await gateway.stop() == 0


async def test_nobody_waits_for_the_end_of_a_process_that_has_no_work(gateway: Node) -> None:
    """A busy machine keeps it from importing; here it is frozen."""
    given_up = await one_waits(gateway)
    freeze(given_up)
    gateway.signal(signal.SIGHUP)
    assert await happens(lambda: bool(logged(gateway, "the workers are replaced")), SOON)
    assert await all_ended({given_up})
    freeze(await one_waits(gateway))
    assert await gateway.stop() == 0
    assert logged(gateway, "workers did not end in time") == []


async def test_a_process_that_waits_and_ends_has_a_successor_too(gateway: Node) -> None:
    ended = await one_waits(gateway)
    end(ended, signal.SIGKILL)
    assert await all_ended({ended})
    assert await one_waits(gateway) != ended
    assert await gateway.stop() == 0


async def test_a_folder_that_is_cleaned_away_costs_no_worker(processes: Processes) -> None:
    with TemporaryDirectory(prefix="run-") as runtime:
        gateway = await processes.gateway(RUNTIME_DIRECTORY=f"{runtime}:{runtime}/other")
        await all_up(gateway)
        await one_waits(gateway)
        [folder] = Path(runtime).iterdir()
        [killed], [other] = begun(gateway)[1], begun(gateway)[2]
        shutil.rmtree(folder)
        end(killed, signal.SIGKILL)
        found = await counted(gateway, "daveslist_worker_deaths_total")
        assert values(found, "daveslist_worker_deaths_total") == {"1": 1.0, "2": 0.0}
        assert set(values(await all_up(gateway), "process_open_fds")) == {"1", "2"}
        assert (len(begun(gateway)[1]), begun(gateway)[2]) == (2, [other])
        assert await gateway.stop() == 0
        assert list(Path(runtime).iterdir()) == []
