"""Fixtures for every test: settings, real servers, a new database, real processes. Their code is in tests/support."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.garbage import THRESHOLDS, exempt_what_exists
from shared.settings import Settings
from tests.support.attack_figures import attack_figures
from tests.support.examples import load_profile
from tests.support.left_out import left_out
from tests.support.order import in_order
from tests.support.pgbouncer import PgBouncer, pgbouncer_of
from tests.support.ports import free_port
from tests.support.process_guard import ProcessGuard
from tests.support.processes import NURSERY, Processes
from tests.support.secret import JWT_SECRET
from tests.support.sentinels import SentinelServers, running_sentinels
from tests.support.servers import Servers, running_servers, stopped_postgres
from tests.support.unhurried import unhurried

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nothing-left-out", action="store_true", help="fail where a test was skipped")
    parser.addoption("--behind-pgbouncer", action="store_true", help="reach each test's database through PgBouncer")


def pytest_configure(config: pytest.Config) -> None:
    load_profile(is_fast="not slow" in config.getoption("markexpr"))
    config.pluginmanager.register(ProcessGuard("servers"))
    config.add_cleanup(NURSERY.stop)
    # The objects of thousands of tests live until the end, and Python's collector would look at them again and again.
    gc.set_threshold(*THRESHOLDS)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests this machine could not run, and why; and what attacks cost."""
    for line in attack_figures(terminalreporter.stats):
        terminalreporter.write_line(line)
    for line in left_out(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and session.config.getoption("--nothing-left-out"):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose fixtures need servers, because `make test-fast` leaves them out; and order the tests."""
    for item in items:
        if {"servers", "sentinels", "s3_endpoint"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)
    items[:] = in_order(items)


def pytest_collection_finish() -> None:
    exempt_what_exists()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """For `-n auto`: two workers more than cores, because tests of whole deployments often wait."""
    return len(os.sched_getaffinity(0)) + 2 if hasattr(os, "sched_getaffinity") else None


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """A real Postgres and a real Redis. Each worker has its own."""
    # Postgres looks through all its buffers whenever a database is made or dropped, and the tests' are small.
    with running_servers({"shared_buffers": "16MB"}) as running:
        yield running


@pytest.fixture(scope="session")
def shared_sentinels() -> Iterator[SentinelServers]:
    with running_sentinels() as running:
        yield running


@pytest.fixture
def sentinels(shared_sentinels: SentinelServers) -> Iterator[SentinelServers]:
    """An empty Redis with a replica, and three sentinels. A test may stop sentinels for a while; nothing fails over."""
    yield shared_sentinels
    shared_sentinels.empty()


@pytest.fixture(scope="session")
def fresh_postgres() -> Iterator[Path]:
    """The folder of a stopped Postgres with the schema, for tests that copy it and break the copy."""
    with stopped_postgres() as folder:
        yield folder


@pytest.fixture(scope="session")
def pgbouncer(servers: Servers, request: pytest.FixtureRequest) -> Iterator[PgBouncer | None]:
    """A PgBouncer before the worker's Postgres if the command line asks for it, else None."""
    if request.config.getoption("--behind-pgbouncer"):
        with pgbouncer_of(servers) as pooler:
            yield pooler
    else:
        yield None


@pytest.fixture
def database_url(servers: Servers, pgbouncer: PgBouncer | None) -> Iterator[str]:
    """A new database with the schema and without rows. Each test has its own."""
    with servers.database() as url:
        yield pgbouncer.url(url) if pgbouncer else url


@pytest.fixture
def redis_url(servers: Servers) -> Iterator[str]:
    """An empty Redis, which no other test uses at the same time."""
    with servers.empty_redis() as url:
        yield url


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Settings for one test: its own database and Redis, free ports, a temporary folder, and a short drain."""
    given = Settings(
        database_url=database_url,
        redis_url=redis_url,
        jwt_secrets=(JWT_SECRET,),
        data_directory=tmp_path / "data",
        api_port=free_port(),
        gateway_port=free_port(),
        drain_seconds=0.2,
        shutdown_seconds=10.0,
        # Everybody in a test is new; tests/api/test_new_accounts.py is about what that limits.
        new_account_listings=100_000,
        new_account_people=100_000,
        # Many write the same; tests/api/test_holds.py is about that.
        similar_messages_people=0,
    )
    return unhurried(given)


@pytest.fixture
async def processes(settings: Settings, tmp_path: Path) -> AsyncIterator[Processes]:
    """Starts APIs, gateway nodes and lab nodes as real processes, and ends them after the test."""
    running = Processes(settings, tmp_path)
    try:
        yield running
    finally:
        await running.stop()
