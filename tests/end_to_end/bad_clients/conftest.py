"""Gateway nodes with small limits for all tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from shared.settings import Settings
from tests.end_to_end.bad_clients.gateway import Gateway
from tests.support.processes import Processes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(deployment: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    settings = replace(
        deployment,
        rate_limits=True,
        # The pair of bystanders writes 25 messages in a second.
        sends_per_second=30.0,
        reads_per_second=1.0,
        typings_per_second=1.0,
        max_outbox_bytes=256 * 1024,
        max_message_bytes=64 * 1024,
        max_connections=400,
        max_longpoll_sessions_per_user=10,
    )
    async with running(settings, tmp_path_factory.mktemp("processes")) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient_gateway(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A node that waits one second for a request. On a busy machine, a good client takes longer than that at times."""
    settings = replace(gateway.settings, request_head_seconds=1.0, longpoll_body_seconds=1.0)
    async with running(settings, tmp_path_factory.mktemp("processes")) as started:
        yield started


@asynccontextmanager
async def running(settings: Settings, directory: Path) -> AsyncIterator[Gateway]:
    processes = Processes(settings, directory)
    try:
        yield Gateway(await processes.gateway(), settings)
    finally:
        await processes.stop()
