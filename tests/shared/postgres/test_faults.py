"""Postgres becomes unreachable in several ways: statements fail in time, and work again afterwards."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Awaitable, Iterator
from contextlib import closing
from dataclasses import replace

import psycopg2
import pytest

from development.postgres import DATABASE
from shared.postgres import Database, DatabaseUnavailable, Statement
from shared.settings import Settings
from tests.shared.postgres.conftest import Victim
from tests.support.roles import as_owner
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.servers

ONE = Statement("one", "SELECT 1")
A_WHILE = Statement("a_while", "SELECT pg_sleep(0.1)")
BACKEND = Statement("backend", "SELECT pg_backend_pid()")
KILL_OTHERS = Statement(
    "",
    """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
       WHERE pid <> pg_backend_pid() AND datname = current_database()""",
)
SLEEP = Statement("sleep", "SELECT pg_sleep(30)")
WRITE = Statement("write", "INSERT INTO numbers VALUES (1)")
NUMBERS = "CREATE TABLE numbers (number integer); GRANT ALL ON numbers TO PUBLIC"


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Open so many descriptors that the next one is too large for select(), as in a gateway with a thousand sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    opened = [os.open(os.devnull, os.O_RDONLY)]
    while opened[-1] < 1100:
        opened.append(os.dup(opened[0]))
    yield
    for descriptor in opened:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def fails_in_time(database: Database, statement: Statement, seconds: float, callers: int = 8) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    results = await asyncio.gather(*(database.fetch(statement) for _ in range(callers)), return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailable] * callers
    assert loop.time() - started < seconds


async def wait_for_recovery(database: Database, seconds: float = 20.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            await asyncio.gather(*(database.fetch(ONE) for _ in range(8)))
        except DatabaseUnavailable:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        else:
            return


async def test_statements_work_again_after_a_restart(victim: Victim) -> None:
    database = await Database.connect(victim.settings)
    await asyncio.gather(*(database.fetch(ONE) for _ in range(8)))
    running = [asyncio.create_task(database.fetch(SLEEP)) for _ in range(2)]
    await database.fetch(ONE)
    await victim.server.stop()
    results = await asyncio.gather(*running, return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailable] * 2
    await fails_in_time(database, ONE, 10.0)
    await victim.server.start()
    await wait_for_recovery(database)
    await database.close()


async def test_statements_work_again_after_a_kill(victim: Victim) -> None:
    database = await Database.connect(victim.settings)
    running = [asyncio.create_task(database.fetch(SLEEP)) for _ in range(6)]
    await asyncio.sleep(0)
    victim.server.kill()
    results = await asyncio.gather(*running, return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailable] * 6
    await victim.server.start()
    await wait_for_recovery(database)
    await database.close()


async def test_statements_fail_in_time_while_the_server_is_frozen_and_work_again_afterwards(victim: Victim) -> None:
    database = await Database.connect(victim.settings)
    await asyncio.gather(*(database.fetch(ONE) for _ in range(2)))
    victim.freeze()
    try:
        # The timeout is one second for a connection and one second for the answer.
        await fails_in_time(database, ONE, 10.0)
        await fails_in_time(database, ONE, 10.0)
    finally:
        victim.thaw()
    await wait_for_recovery(database)
    await database.close()


async def test_ended_idle_connections_are_replaced_without_a_failure(database: Database) -> None:
    await asyncio.gather(*(database.fetch(A_WHILE) for _ in range(4)))
    assert await database.fetch(KILL_OTHERS) == [(True,)] * 3
    # In this time the loop notices that the sockets were closed.
    await asyncio.sleep(0.01)
    await asyncio.gather(*(database.fetch(ONE) for _ in range(8)))


async def test_a_connection_with_a_large_descriptor_that_ends_in_a_statement_fails_at_once(
    many_descriptors: None, database: Database
) -> None:
    tasks = [asyncio.create_task(database.fetch(SLEEP)) for _ in range(3)]
    await asyncio.sleep(0)
    others = Statement(
        "",
        """SELECT pid, pg_sleep(0.01) FROM pg_stat_activity
           WHERE datname = current_database() AND query LIKE 'EXECUTE%%' AND pid <> pg_backend_pid()""",
    )
    while len(sleeping := await database.fetch(others)) < 3:
        pass
    started = asyncio.get_running_loop().time()
    for pid, _ in sleeping:
        await database.fetch(Statement("", "SELECT pg_terminate_backend(%s)"), pid)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailable] * 3
    # The callers failed at once, not by the timeout, which is 2 seconds.
    assert asyncio.get_running_loop().time() - started < 1.9
    await asyncio.gather(*(database.fetch(ONE) for _ in range(8)))


async def test_statements_fail_in_time_and_recover_with_large_descriptors(
    many_descriptors: None, victim: Victim
) -> None:
    database = await Database.connect(victim.settings)
    await asyncio.gather(*(database.fetch(A_WHILE) for _ in range(4)))
    await victim.server.stop()
    await fails_in_time(database, ONE, 10.0)
    await victim.server.start()
    await wait_for_recovery(database)
    victim.freeze()
    try:
        await fails_in_time(database, ONE, 10.0)
    finally:
        victim.thaw()
    await wait_for_recovery(database)
    await database.close()


async def test_a_transaction_whose_connection_ends_changes_nothing(database: Database, settings: Settings) -> None:
    with closing(psycopg2.connect(as_owner(settings.database_url))) as owner, owner, owner.cursor() as cursor:
        cursor.execute(NUMBERS)
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012
        async with database.transaction() as transaction:
            await transaction.execute(Statement("", "INSERT INTO numbers VALUES (1)"))
            row = await transaction.fetch_one(BACKEND)
            assert row is not None
            await database.fetch(Statement("", "SELECT pg_terminate_backend(%s, 5000)"), row[0])
            await transaction.execute(Statement("", "INSERT INTO numbers VALUES (2)"))
    assert await database.fetch(Statement("", "SELECT * FROM numbers")) == []


async def test_a_reused_descriptor_of_a_lost_connection_keeps_its_new_reader(database: Database) -> None:
    """The system may give a descriptor that libpq has closed to another socket. That socket's reader must be kept."""
    for _ in range(5):
        await asyncio.gather(*(database.fetch(A_WHILE) for _ in range(4)))
        await database.fetch(KILL_OTHERS)
        answers: list[bytes] = []

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for _ in range(6):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(*(database.fetch(ONE) for _ in range(4)), return_exceptions=True)
            writer.write(b"hello\n")
            async with asyncio.timeout(PATIENCE_SECONDS):
                answers.append(await reader.readline())
            writer.close()
            await writer.wait_closed()
        server.close()
        await server.wait_closed()
        assert answers == [b"hello\n"] * 6


async def set_system_read_only(victim: Victim, database: Database, value: str) -> None:
    """Make all open connections read-only or writable, as when a primary is demoted or promoted."""
    victim.administer(f"ALTER SYSTEM SET default_transaction_read_only = {value}", "SELECT pg_reload_conf()")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await database.fetch(Statement("", "SHOW default_transaction_read_only")) != [(value,)]:
            pass


async def test_connections_to_a_demoted_primary_are_replaced(victim: Victim) -> None:
    """The open connections become read-only, and new ones accept writes."""
    database = await Database.connect(victim.settings)
    await asyncio.gather(*(database.fetch(A_WHILE) for _ in range(4)))
    victim.administer(NUMBERS, f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = off")
    await set_system_read_only(victim, database, "on")
    writes = [await outcome(database.execute(WRITE)) for _ in range(12)]
    # Each connection fails at most once as read-only.
    assert 1 <= writes.count(DatabaseUnavailable) <= 4
    assert writes[-1] is None
    # The way back causes no failure.
    await set_system_read_only(victim, database, "off")
    assert [await outcome(database.execute(WRITE)) for _ in range(8)] == [None] * 8
    await database.close()


async def test_a_transaction_on_a_demoted_primary_fails_and_the_next_one_works(victim: Victim) -> None:
    database = await Database.connect(replace(victim.settings, database_pool_size=1, database_timeout_seconds=10.0))
    victim.administer(NUMBERS)
    await set_system_read_only(victim, database, "on")
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction() as transaction:
            await transaction.execute(WRITE)
    # Statements that only read still work.
    assert await database.fetch(Statement("", "SELECT count(*) FROM numbers")) == [(0,)]
    await set_system_read_only(victim, database, "off")
    async with database.transaction() as transaction:
        await transaction.execute(WRITE)
    assert await database.fetch(Statement("", "SELECT count(*) FROM numbers")) == [(1,)]
    await database.close()


async def outcome(work: Awaitable[object]) -> type[BaseException] | None:
    try:
        await work
    except DatabaseUnavailable as error:
        return type(error)
    return None
