"""A worker that hangs, or cannot begin, keeps nobody waiting: its place is taken, or others get its connections."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from development.child import happens
from shared.settings import Settings
from shared.workers.child import SILENT_SECONDS
from tests.support.freezing import freeze
from tests.support.ports import free_port
from tests.support.processes import Processes, ProcessFailed
from tests.support.proxy import Proxy
from tests.support.secret import JWT_SECRET
from tests.support.servers import Servers
from tests.workers.crew import SOON, all_ended, all_up, begun, end, living, logged, one_waits, values

pytestmark = pytest.mark.servers

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
VISITS = 30
LET_GO = "others get the connections of this place"


@asynccontextmanager
async def processes(servers: Servers, folder: Path) -> AsyncIterator[Processes]:
    with servers.database() as database_url, servers.empty_redis() as redis_url:
        settings = Settings(
            database_url=database_url,
            redis_url=redis_url,
            jwt_secrets=(JWT_SECRET,),
            data_directory=folder / "data",
            drain_seconds=0.2,
            shutdown_seconds=10.0,
        )
        running = Processes(settings, folder)
        try:
            yield running
        finally:
            await running.stop()


@asynccontextmanager
async def behind_a_line(servers: Servers, folder: Path) -> AsyncIterator[tuple[Processes, Proxy]]:
    """Processes, and their line to Postgres, which can be cut."""
    async with processes(servers, folder) as running:
        parts = parse_dsn(running.settings.database_url)
        async with Proxy(f"{parts['host']}/.s.PGSQL.{parts['port']}") as line:
            url = make_dsn(**{**parts, "host": "127.0.0.1", "port": str(line.port)})
            running.settings = replace(running.settings, database_url=url)
            yield running, line


async def answers(port: int) -> list[bytes]:
    """The first lines of the answers to several visitors who come at once; the test ends if one of them waits."""

    async def visit() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(LIVE)
        answer = await reader.readline()
        writer.close()
        return answer.strip()

    async with asyncio.timeout(SOON):
        return await asyncio.gather(*(visit() for _ in range(VISITS)))


async def test_a_worker_that_hangs_is_killed_and_another_one_takes_its_place(servers: Servers, tmp_path: Path) -> None:
    async with processes(servers, tmp_path) as running:
        gateway = await running.gateway(GATEWAY_WORKERS="2")
        await all_up(gateway)
        await one_waits(gateway)
        [hangs], [other] = begun(gateway)[1], begun(gateway)[2]
        freeze(hangs)
        assert await happens(lambda: len(begun(gateway)[1]) == 2, SILENT_SECONDS + SOON), gateway.output()
        [line] = logged(gateway, "a worker gives no sign of life; it is killed")
        assert (line["worker"], line["pid"]) == (1, hangs)
        await all_up(gateway)
        assert await answers(gateway.port) == [b"HTTP/1.1 200 OK"] * VISITS
        assert begun(gateway)[2] == [other]


async def test_a_first_worker_that_hangs_before_it_listens_ends_the_start(servers: Servers, tmp_path: Path) -> None:
    """Whatever supervises the parent starts it again."""
    async with behind_a_line(servers, tmp_path) as (running, line):
        line.cut()
        port = free_port()
        given = {"API_PORT": str(port), "API_WORKERS": "2"}
        starting = asyncio.create_task(running.start("api", port=port, environment=given, ready="/health/ready"))
        log = running.directory / f"api-{port}.log"
        # It waits for Postgres, so it has given signs of life.
        assert await happens(lambda: log.exists() and "waiting for Postgres" in log.read_text(), SOON)
        freeze(int(re.findall('"a worker begins".*"pid": ([0-9]+)', log.read_text())[0]))
        with pytest.raises(ProcessFailed, match="a worker gives no sign of life; it is killed"):
            await starting
        assert await happens(lambda: _is_free(port), SOON)


async def test_nobody_waits_for_a_worker_that_cannot_begin_yet(servers: Servers, tmp_path: Path) -> None:
    """An API that starts waits for Postgres. Its place is empty meanwhile, and the other worker serves all."""
    async with behind_a_line(servers, tmp_path) as (running, line):
        api = await running.api(API_WORKERS="2")
        await all_up(api)
        await one_waits(api)
        # At the start, no place had connections to give away, however long it took.
        assert not logged(api, LET_GO)
        line.cut()
        end(begun(api)[1][-1], signal.SIGKILL)
        assert await happens(lambda: len(begun(api)[1]) == 2, SOON)
        # Those who came while nobody knew are let go; whoever comes after that is answered.
        assert await happens(lambda: bool(logged(api, LET_GO)), SOON)
        assert await answers(api.port) == [b"HTTP/1.1 200 OK"] * VISITS
        line.mend()
        await all_up(api)
        assert await answers(api.port) == [b"HTTP/1.1 200 OK"] * VISITS
        assert await api.stop() == 0


async def test_nobody_waits_for_a_successor_whose_worker_has_died(servers: Servers, tmp_path: Path) -> None:
    """The successor waits for Postgres, and thinks that the worker before it still accepts connections."""
    async with behind_a_line(servers, tmp_path) as (running, line):
        api = await running.api(API_WORKERS="2")
        await all_up(api)
        [died] = begun(api)[1]
        line.cut()
        api.signal(signal.SIGHUP)
        assert await happens(lambda: len(begun(api)[1]) == 2, SOON)
        [_, successor] = begun(api)[1]
        end(died, signal.SIGKILL)
        assert await happens(lambda: bool(logged(api, LET_GO)), SOON), api.output()
        assert await answers(api.port) == [b"HTTP/1.1 200 OK"] * VISITS
        [death] = logged(api, "a worker has ended; its successor takes its place")
        assert (death["worker"], death["pid"], death["by"]) == (1, died, successor)
        line.mend()
        # The successor was all that was missing: the others are replaced after it.
        assert await happens(lambda: bool(logged(api, "the workers are replaced")), SOON), api.output()
        found = await all_up(api)
        assert values(found, "daveslist_worker_deaths_total") == {"1": 1.0, "2": 0.0}
        assert begun(api)[1] == [died, successor]
        assert await answers(api.port) == [b"HTTP/1.1 200 OK"] * VISITS
        assert await api.stop() == 0


async def test_a_successor_that_dies_while_the_worker_drains_is_replaced_at_once(
    servers: Servers, tmp_path: Path
) -> None:
    async with processes(servers, tmp_path) as running:
        gateway = await running.gateway(GATEWAY_WORKERS="2", DRAIN_SECONDS="20", SHUTDOWN_SECONDS="30")
        await all_up(gateway)
        clients = [await open_socket(gateway.port) for _ in range(VISITS)]
        first = begun(gateway)
        gateway.signal(signal.SIGHUP)
        assert await happens(lambda: bool(logged(gateway, "a worker is replaced")), SOON)
        end(begun(gateway)[1][-1], signal.SIGKILL)
        assert await happens(lambda: len(begun(gateway)[1]) == 3, SOON), gateway.output()
        assert set(first[1]) <= living(gateway), "the worker has drained already"
        await all_up(gateway)
        assert await answers(gateway.port) == [b"HTTP/1.1 200 OK"] * VISITS
        for writer in clients:
            writer.close()
        # Perhaps the new program cannot live: the other worker stays as it is.
        assert await happens(lambda: bool(logged(gateway, "the reload has ended early; the other workers stay")), SOON)
        assert begun(gateway)[2] == first[2]
        assert await gateway.stop() == 0


async def open_socket(port: int) -> asyncio.StreamWriter:
    """A WebSocket of a client that says nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    return writer


async def test_the_port_is_free_as_soon_as_the_parent_has_died(servers: Servers, tmp_path: Path) -> None:
    """Its workers drain for longer than that: whatever supervises it starts another one at once."""
    async with processes(servers, tmp_path) as running:
        gateway = await running.gateway(GATEWAY_WORKERS="2", DRAIN_SECONDS="20", SHUTDOWN_SECONDS="30")
        await all_up(gateway)
        orphans = living(gateway)
        writer = await open_socket(gateway.port)
        gateway.kill()
        assert await happens(lambda: _is_free(gateway.port), 5.0)
        given = {"GATEWAY_PORT": str(gateway.port), "GATEWAY_WORKERS": "2"}
        second = await running.start("gateway", port=gateway.port, environment=given, ready="/health/ready")
        assert await second.stop() == 0
        writer.close()
        assert await all_ended(orphans)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
