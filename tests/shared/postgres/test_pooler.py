"""Statements through a real PgBouncer in transaction mode: each transaction may have another session of Postgres."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
import pytest_asyncio

from shared.postgres import Database, DatabaseUnavailable, Statement
from shared.postgres.schema import apply_schema, is_schema_applied
from shared.settings import Settings
from tests.shared.postgres.test_faults import wait_for_recovery
from tests.support.database import query
from tests.support.pgbouncer import POOL, PgBouncer, pgbouncer_of, running_pgbouncer
from tests.support.roles import as_owner
from tests.support.servers import Servers
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE = Statement("one", "SELECT 1")
BACKEND = Statement("backend", "SELECT pg_backend_pid()")
SLEEP = Statement("sleep", "SELECT pg_sleep($1)", ("double precision",))
HALF = Statement("half", "SELECT '50%' || $1, '$sql$', $2", ("text", "bigint[]"))
ADD = Statement("add", "INSERT INTO numbers VALUES ($1)", ("integer",))
EVERYTHING = Statement("everything", "SELECT * FROM numbers")
COUNT = Statement("count", "SELECT count(*) FROM numbers")
WITH_SETTINGS = [
    "plan_cache_mode",
    "jit",
    "enable_seqscan",
    "random_page_cost",
    "work_mem",
    "statement_timeout",
    "timezone",
]
SETTINGS = "SELECT " + ", ".join(f"current_setting('{name}')" for name in WITH_SETTINGS)


@pytest.fixture(scope="module")
def pooler(servers: Servers) -> Iterator[PgBouncer]:
    with pgbouncer_of(servers) as running:
        yield running


@pytest.fixture
def pooled(pooler: PgBouncer, settings: Settings) -> Settings:
    """Settings with the test's database, by PgBouncer."""
    with closing(psycopg2.connect(as_owner(settings.database_url))) as owner, owner, owner.cursor() as cursor:
        cursor.execute("CREATE TABLE numbers (number integer CHECK (number < 100)); GRANT ALL ON numbers TO PUBLIC")
    return replace(
        settings,
        database_url=pooler.url(settings.database_url),
        database_pool_size=10,
        database_timeout_seconds=10.0,
    )


@pytest_asyncio.fixture(loop_scope="module")
async def database(pooled: Settings) -> AsyncIterator[Database]:
    opened = await Database.connect(pooled)
    yield opened
    await opened.close()


async def all_sessions(database: Database, statement: Statement) -> set[object]:
    """The answers of several callers at the same time, who use every session of the pool."""
    slowly = replace(statement, first="SELECT pg_sleep(0.05)")
    return set(await asyncio.gather(*(database.fetch_one(slowly) for _ in range(4 * POOL))))


async def test_many_callers_share_few_sessions(database: Database) -> None:
    # PgBouncer opens one session after the other.
    seen: set[object] = set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(seen) < POOL:
            seen |= await all_sessions(database, BACKEND)
    assert len(await all_sessions(database, BACKEND) | seen) == POOL
    assert database.pool.size == 10


async def test_a_statement_gets_its_parameters_on_every_session(database: Database) -> None:
    answers = await asyncio.gather(*(database.fetch_one(HALF, f"{n}'", [n, None]) for n in range(50)))
    assert answers == [(f"50%{n}'", "$sql$", [n, None]) for n in range(50)]


async def test_every_statement_and_transaction_has_the_same_settings_as_on_a_direct_connection(
    database: Database, settings: Settings
) -> None:
    direct = await Database.connect(replace(settings, database_timeout_seconds=10.0))
    expected = await direct.fetch_one(Statement("", SETTINGS))
    await direct.close()
    assert expected == ("force_generic_plan", "off", "off", "1.1", "16MB", "10s", "UTC")
    for statement in (Statement("", SETTINGS), Statement("settings", SETTINGS)):
        assert await all_sessions(database, statement) == {expected}
        async with database.transaction() as transaction:
            assert await transaction.fetch_one(statement) == expected


async def test_nothing_of_a_statement_stays_on_the_session_for_others(
    database: Database, pooled: Settings, settings: Settings
) -> None:
    await all_sessions(database, Statement("settings", SETTINGS))
    other = SETTINGS.replace(", current_setting('timezone')", "")
    [direct], [by_pooler] = query(settings.database_url, other), query(pooled.database_url, other)
    assert by_pooler == direct


async def test_times_are_in_utc_whatever_the_zone_of_the_server(pooled: Settings, settings: Settings) -> None:
    name = settings.database_url.partition("@/")[2].partition("?")[0]
    query(as_owner(settings.database_url), f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")
    database = await Database.connect(pooled)
    moment = datetime(2026, 1, 31, 23, 59, 59, 1, tzinfo=UTC)
    try:
        for statement in (Statement("", "SELECT %s::timestamptz"), Statement("moment", "SELECT $1", ("timestamptz",))):
            answers = await asyncio.gather(*(database.fetch_one(statement, moment) for _ in range(4 * POOL)))
            assert {answer[0].utcoffset() for answer in answers if answer} == {timedelta()}
    finally:
        await database.close()


async def test_a_statement_is_prepared_once_for_each_session_and_planned_once(database: Database) -> None:
    plans = Statement(
        "",
        """SELECT pg_backend_pid(), count(*)::int, sum(custom_plans)::int FROM pg_prepared_statements
           WHERE name LIKE 'half%%' AND pg_sleep(0.05) IS NOT NULL""",
    )
    for _ in range(5):
        await asyncio.gather(*(database.fetch_one(HALF, "", [n]) for n in range(4 * POOL)))
    async with database.transaction() as transaction:
        await transaction.fetch_one(HALF, "", [])
        await transaction.fetch_one(HALF, "", [])
    found = set(await asyncio.gather(*(database.fetch_one(plans) for _ in range(4 * POOL))))
    # PgBouncer may have opened a session for this question alone.
    assert {row[1:] for row in found if row and row[1]} == {(1, 0)}


async def test_transactions_prepare_what_the_session_lacks_and_take_effect_as_a_whole(database: Database) -> None:
    async def add(number: int) -> None:
        async with database.transaction() as transaction:
            assert await transaction.execute(ADD, number) == 1
            assert await transaction.execute(ADD, number) == 1
            if number % 2:
                raise KeyError

    results = await asyncio.gather(*(add(number) for number in range(40)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), KeyError] * 20
    assert await database.fetch(COUNT) == [(40,)]


async def test_an_sql_error_is_raised_and_changes_nothing(database: Database) -> None:
    for _ in range(2 * POOL):
        with pytest.raises(psycopg2.errors.CheckViolation):
            await database.execute(ADD, 100)
        with pytest.raises(psycopg2.errors.CheckViolation):  # noqa: PT012
            async with database.transaction() as transaction:
                await transaction.execute(ADD, 1)
                await transaction.execute(ADD, 100)
    assert await database.fetch(COUNT) == [(0,)]


async def test_a_statement_that_can_be_in_no_transaction_runs(database: Database) -> None:
    await database.execute(Statement("", "VACUUM numbers", is_alone=True))


async def test_two_versions_of_a_statement_do_not_meet(pooled: Settings) -> None:
    """Processes of two versions share the sessions during an upgrade."""
    old, new = await Database.connect(pooled), await Database.connect(pooled)
    before, after = Statement("word", "SELECT 'before'"), Statement("word", "SELECT 'after'")
    try:
        for _ in range(3):
            assert await all_sessions(old, before) == {("before",)}
            assert await all_sessions(new, after) == {("after",)}
        with pytest.raises(RuntimeError, match="'word'"):
            await old.fetch(after)
    finally:
        await asyncio.gather(old.close(), new.close())


async def test_a_statement_on_a_changed_table_is_prepared_again(database: Database, settings: Settings) -> None:
    await all_sessions(database, EVERYTHING)
    await database.execute(ADD, 1)
    query(as_owner(settings.database_url), "ALTER TABLE numbers ADD COLUMN note text")
    assert await all_sessions(database, EVERYTHING) == {(1, None)}
    query(as_owner(settings.database_url), "ALTER TABLE numbers ADD COLUMN other text")
    # A transaction cannot go on. Its session ends with it, so that later ones have another.
    for _ in range(2 * POOL):
        try:
            async with database.transaction() as transaction:
                assert await transaction.fetch(EVERYTHING) == [(1, None, None)]
        except DatabaseUnavailable:
            continue
        break
    else:
        pytest.fail("the statement was not prepared again")


async def test_sessions_that_are_emptied_after_each_transaction_are_filled_again(settings: Settings) -> None:
    own = {"server_reset_query": "DISCARD ALL", "server_reset_query_always": "1", "default_pool_size": "2"}
    async with running_pgbouncer(settings.database_url, **own) as pooler:
        database = await Database.connect(replace(settings, database_url=pooler.url(settings.database_url)))
        for _ in range(3):
            assert await database.fetch_one(HALF, "", [1]) == ("50%", "$sql$", [1])
            async with database.transaction() as transaction:
                assert await transaction.fetch_one(HALF, "", [2]) == ("50%", "$sql$", [2])
        await database.close()


async def test_a_statement_that_somebody_else_removed_is_prepared_again(database: Database) -> None:
    removed = Statement(
        "",
        """DO $$ DECLARE found text; BEGIN
               FOR found IN SELECT name FROM pg_prepared_statements WHERE name LIKE 'one %%' LOOP
                   EXECUTE format('DEALLOCATE %%I', found);
               END LOOP;
           END $$; SELECT pg_sleep(0.05)""",
    )

    async def one() -> object:
        async with database.transaction() as transaction:
            await transaction.fetch(SLEEP, 0.05)
            return await transaction.fetch(ONE)

    failed = 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not failed:
            await asyncio.gather(*(one() for _ in range(4 * POOL)))
            await all_sessions(database, removed)
            results = await asyncio.gather(*(one() for _ in range(4 * POOL)), return_exceptions=True)
            failed = [type(result) for result in results].count(DatabaseUnavailable)
    # A transaction cannot go on without it. Its session ends with it, so that later ones have another.
    assert failed <= 2 * POOL
    assert await asyncio.gather(*(one() for _ in range(4 * POOL))) == [[(1,)]] * (4 * POOL)
    await all_sessions(database, removed)
    assert await all_sessions(database, ONE) == {(1,)}


@pytest.mark.parametrize("given", ["on", ""])
async def test_it_works_with_the_setting_and_without(pooled: Settings, given: str) -> None:
    database = await Database.connect(replace(pooled, database_pooler=given))
    assert await all_sessions(database, Statement("settings", SETTINGS)) == {
        ("force_generic_plan", "off", "off", "1.1", "16MB", "10s", "UTC")
    }
    await database.close()


async def test_the_setting_makes_a_direct_connection_work_as_if_it_were_pooled(settings: Settings) -> None:
    database = await Database.connect(replace(settings, database_pooler="on"))
    assert await database.fetch(Statement("", "SHOW plan_cache_mode")) == [("force_generic_plan",)]
    assert await database.fetch_one(HALF, "", [1]) == ("50%", "$sql$", [1])
    await database.close()


async def test_several_who_apply_the_schema_together_apply_it_once(pooled: Settings, settings: Settings) -> None:
    query(as_owner(settings.database_url), "DROP SCHEMA public CASCADE")
    query(as_owner(settings.database_url), "CREATE SCHEMA public")
    own = replace(pooled, database_url=as_owner(pooled.database_url))
    assert await is_schema_applied(pooled) is False
    assert sorted(await asyncio.gather(*(apply_schema(own) for _ in range(6)))) == [False] * 5 + [True]
    assert await apply_schema(own) is False
    assert await is_schema_applied(pooled) is True
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    assert query(settings.database_url, locks) == [(0,)]


async def fails(database: Database) -> str:
    """The reason for which a statement fails."""
    with pytest.raises(DatabaseUnavailable) as caught:
        await database.fetch(ONE)
    return str(caught.value)


async def test_statements_work_again_after_the_pooler_was_restarted(pooled: Settings, pooler: PgBouncer) -> None:
    database = await Database.connect(replace(pooled, database_timeout_seconds=20.0))
    running = [asyncio.create_task(database.fetch(SLEEP, 19.0)) for _ in range(2)]
    await database.fetch(ONE)
    await pooler.stop()
    results = await asyncio.gather(*running, return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailable] * 2
    assert "refused" in await fails(database)
    await pooler.start()
    await wait_for_recovery(database)
    await database.close()


async def test_a_paused_or_frozen_pooler_fails_statements_in_time(pooled: Settings, pooler: PgBouncer) -> None:
    database = Database(replace(pooled, database_timeout_seconds=1.0))
    await wait_for_recovery(database)
    await pooler.command("PAUSE")
    try:
        assert "no answer within 1 s" in await fails(database)
        results = await asyncio.gather(*(database.fetch(ONE) for _ in range(20)), return_exceptions=True)
        assert {type(result) for result in results} == {DatabaseUnavailable}
    finally:
        await pooler.command("RESUME")
    await wait_for_recovery(database)
    os.kill(pooler.pid, signal.SIGSTOP)
    try:
        assert "within 1 s" in await fails(database)
    finally:
        os.kill(pooler.pid, signal.SIGCONT)
    await wait_for_recovery(database)
    await database.close()


async def test_sessions_that_the_pooler_replaces_cause_no_failure(database: Database, pooler: PgBouncer) -> None:
    before = await all_sessions(database, BACKEND)
    await pooler.command("RECONNECT")
    assert not before & await all_sessions(database, BACKEND)
    async with database.transaction() as transaction:
        assert await transaction.fetch(ONE) == [(1,)]


async def test_a_session_that_ends_in_a_statement_or_a_transaction_is_unavailable_and_nothing_else_is(
    database: Database, settings: Settings
) -> None:
    end = "SELECT pg_terminate_backend(%s, 5000)"
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012
        async with database.transaction() as transaction:
            await transaction.execute(ADD, 1)
            row = await transaction.fetch_one(BACKEND)
            assert row is not None
            query(settings.database_url, end, row[0])
            await transaction.execute(ADD, 2)
    await wait_for_recovery(database)
    assert await database.fetch(COUNT) == [(0,)]


async def test_idle_clients_that_the_pooler_ends_are_replaced_without_a_failure(settings: Settings) -> None:
    async with running_pgbouncer(settings.database_url, client_idle_timeout="0.3") as pooler:
        database = await Database.connect(replace(settings, database_url=pooler.url(settings.database_url)))
        await all_sessions(database, ONE)
        deadline = asyncio.get_running_loop().time() + 20.0
        while (await pooler.command("SHOW LISTS"))[5][1] > 1:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.05)
        assert await database.fetch(ONE) == [(1,)]
        await database.close()


async def test_too_many_clients_are_refused_with_a_reason_until_there_is_room(settings: Settings) -> None:
    async with running_pgbouncer(settings.database_url, max_client_conn="4") as pooler:
        few = replace(settings, database_url=pooler.url(settings.database_url), database_timeout_seconds=10.0)
        first, second = await Database.connect(replace(few, database_pool_size=4)), Database(few)
        await all_sessions(first, ONE)
        assert "no more connections allowed" in await fails(second)
        # The callers of a process that has connections take turns with these.
        assert await all_sessions(first, ONE) == {(1,)}
        await first.close()
        await wait_for_recovery(second)
        await second.close()


async def test_a_database_that_the_pooler_does_not_know_is_unavailable_with_a_reason(
    pooled: Settings, pooler: PgBouncer
) -> None:
    unknown = replace(pooled, database_url=f"postgresql://nobody@127.0.0.1:{pooler.port}/nothing")
    database = Database(replace(unknown, database_timeout_seconds=2.0))
    assert "authentication failed" in await fails(database)
    await database.close()
