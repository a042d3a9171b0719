"""Tests statements, parameters and transactions, and that concurrent callers do not affect each other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from shared.postgres import Database, DatabaseUnavailable, Statement, opening, schema
from shared.postgres.address import InvalidDatabaseUrl, parsed
from shared.postgres.schema import apply_schema, is_schema_applied
from shared.settings import Settings
from tests.support.roles import as_owner
from tests.support.silent import silent_server

ONE = Statement("one", "SELECT 1")
BACKEND = Statement("backend", "SELECT pg_backend_pid()")
SLEEP = Statement("sleep", "SELECT pg_sleep($1)", ("double precision",))
TEXT = Statement("text", "SELECT $1", ("text",))
TEXTS = Statement("texts", "SELECT n, value FROM unnest($1) WITH ORDINALITY AS t (value, n) ORDER BY n", ("text[]",))
NUMBERS = Statement("numbers", "SELECT unnest($1)", ("bigint[]",))
ADD = Statement("add", "INSERT INTO numbers VALUES ($1)", ("integer",))
COUNT = Statement("count", "SELECT count(*) FROM numbers")

ODD = [
    "",
    " ",
    "NULL",
    "null",
    "{}",
    '"',
    "\\",
    "'",
    "%s",
    "$1",
    "a,b",
    "é\U0001f697",
    "\n\t",
    "\\'; DROP TABLE users",
    "x" * 10000,
]


@pytest.fixture
async def numbers(database: Database, owner: Database) -> Database:
    await owner.execute(Statement("", "CREATE TABLE numbers (number integer CHECK (number < 100))"))
    return database


async def test_rows_are_tuples_with_times_in_utc(database: Database) -> None:
    moment = datetime(2026, 1, 31, 23, 59, 59, 1, tzinfo=UTC)
    statement = Statement("mixed", "SELECT $1, $2, $3, $4", ("bigint", "text", "timestamptz", "boolean"))
    assert await database.fetch(statement, 2**63 - 1, None, moment, True) == [(2**63 - 1, None, moment, True)]


@pytest.mark.parametrize("text", ODD, ids=lambda text: ascii(text)[:20])
async def test_any_text_is_read_back_unchanged(database: Database, text: str) -> None:
    assert await database.fetch_one(TEXT, text) == (text,)


async def test_arrays_are_read_back_unchanged(database: Database) -> None:
    values = [*ODD, None, "NULL"]
    assert await database.fetch(TEXTS, values) == list(enumerate(values, 1))
    assert await database.fetch(TEXTS, []) == []
    assert await database.fetch(NUMBERS, [1, None, -(2**63)]) == [(1,), (None,), (-(2**63),)]


async def test_a_statement_without_a_name_takes_parameters(database: Database) -> None:
    assert await database.fetch_one(Statement("", "SELECT %s, '100%%'"), "it's") == ("it's", "100%")


async def test_a_statement_is_planned_once_however_short_its_arrays_are(settings: Settings) -> None:
    # Postgres plans a statement anew each time if that looks cheaper, as it does for short arrays.
    plans = Statement(
        "plans", "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = $1", ("text",)
    )
    database = await Database.connect(replace(settings, database_pool_size=1))
    try:
        for number in range(10):
            assert await database.fetch(TEXTS, [str(number)]) == [(1, str(number))]
        assert await database.fetch_one(plans, TEXTS.name) == (10, 0)
    finally:
        await database.close()


async def test_fetch_one_returns_none_without_a_row_and_execute_returns_the_row_count(numbers: Database) -> None:
    assert await numbers.fetch_one(Statement("none", "SELECT 1 WHERE false")) is None
    assert await numbers.execute(ADD, 1) == 1
    assert await numbers.execute(Statement("", "DELETE FROM numbers WHERE number > %s"), 5) == 0


async def test_two_statements_with_one_name_raise(database: Database) -> None:
    await database.fetch(ONE)
    with pytest.raises(RuntimeError, match="'one'"):
        await database.fetch(Statement("one", "SELECT 2"))


async def test_an_sql_error_is_raised_and_keeps_the_connection(numbers: Database) -> None:
    before = await numbers.fetch_one(BACKEND)
    with pytest.raises(psycopg2.errors.CheckViolation):
        await numbers.execute(ADD, 100)
    with pytest.raises(psycopg2.errors.UndefinedTable):
        await numbers.fetch(Statement("", "SELECT * FROM nothing"))
    assert await numbers.fetch_one(BACKEND) == before


async def test_a_transaction_takes_effect_as_a_whole(numbers: Database) -> None:
    async with numbers.transaction() as transaction:
        assert await transaction.execute(ADD, 1) == 1
        assert await transaction.fetch_one(COUNT) == (1,)
        assert await numbers.fetch_one(COUNT) == (0,)
    assert await numbers.fetch_one(COUNT) == (1,)


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, KeyError])
async def test_a_transaction_that_raises_changes_nothing(numbers: Database, error: type[BaseException]) -> None:
    with pytest.raises(error):  # noqa: PT012
        async with numbers.transaction() as transaction:
            await transaction.execute(ADD, 1)
            raise error
    assert await numbers.fetch_one(COUNT) == (0,)
    assert numbers.pool.size == 1


async def test_a_transaction_whose_statement_failed_changes_nothing(numbers: Database) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation):  # noqa: PT012
        async with numbers.transaction() as transaction:
            await transaction.execute(ADD, 1)
            await transaction.execute(ADD, 100)
    assert await numbers.fetch(COUNT) == [(0,)]


async def test_more_callers_than_connections_take_turns(database: Database) -> None:
    statement = Statement("backend_slowly", "SELECT pg_backend_pid(), pg_sleep(0.05)")
    answers = await asyncio.gather(*(database.fetch_one(statement) for _ in range(20)))
    assert len({answer[0] for answer in answers if answer}) == 4
    assert database.pool.size == 4
    assert database.pool.waiting == 0


async def test_a_cancelled_caller_does_not_affect_others(database: Database) -> None:
    doomed = [asyncio.create_task(database.fetch(SLEEP, 30.0)) for _ in range(3)]
    waiting = [asyncio.create_task(database.fetch_one(BACKEND)) for _ in range(20)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in [*doomed, *waiting[1::2]]:
        task.cancel()
    answers = await asyncio.gather(*waiting[::2])
    assert all(answers)
    results = await asyncio.gather(*doomed, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    await asyncio.gather(*(database.fetch(ONE) for _ in range(20)))


async def test_cancelled_waiters_for_a_connection_leave_it_to_others(database: Database) -> None:
    sleeping = [asyncio.create_task(database.fetch(SLEEP, 0.3)) for _ in range(4)]
    waiting = [asyncio.create_task(database.fetch(ONE)) for _ in range(4)]
    await asyncio.sleep(0)
    for task in waiting[:3]:
        task.cancel()
    assert await waiting[3] == [(1,)]
    await asyncio.gather(*sleeping)
    assert database.pool.waiting == 0


async def test_a_slow_statement_is_unavailable_after_the_timeout_and_is_cancelled_in_postgres(
    settings: Settings,
) -> None:
    database = await Database.connect(replace(settings, database_pool_size=2, database_timeout_seconds=0.3))
    try:
        loop = asyncio.get_running_loop()
        started = loop.time()
        results = await asyncio.gather(*(database.fetch(SLEEP, 30.0) for _ in range(4)), return_exceptions=True)
        assert all(isinstance(result, DatabaseUnavailable) for result in results)
        assert loop.time() - started < 10.0
        assert await database.fetch(ONE) == [(1,)]
        running = Statement(
            "",
            """SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%sleep%%' AND state = 'active'
               AND pid <> pg_backend_pid() AND datname = current_database()""",
        )
        while (await database.fetch_one(running)) != (0,):
            assert loop.time() - started < 20.0
            await asyncio.sleep(0.02)
    finally:
        await database.close()


async def test_a_statement_on_a_changed_table_is_prepared_again(numbers: Database, owner: Database) -> None:
    everything = Statement("everything", "SELECT * FROM numbers")
    await asyncio.gather(*(numbers.fetch(everything) for _ in range(8)))
    await owner.execute(Statement("", "ALTER TABLE numbers ADD COLUMN note text"))
    await numbers.execute(ADD, 1)
    for _ in range(10):
        try:
            assert await numbers.fetch(everything) == [(1, None)]
        except DatabaseUnavailable:
            continue
        break
    else:
        pytest.fail("the statement was not prepared again")


async def test_closing_fails_running_and_waiting_callers(settings: Settings) -> None:
    database = await Database.connect(replace(settings, database_pool_size=1))
    tasks = [asyncio.create_task(database.fetch(SLEEP, 30.0)) for _ in range(3)]
    await asyncio.sleep(0)
    await database.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, DatabaseUnavailable) for result in results)
    with pytest.raises(DatabaseUnavailable):
        await database.fetch(ONE)


async def test_an_invalid_url_is_reported_without_its_password(settings: Settings) -> None:
    with pytest.raises(InvalidDatabaseUrl) as caught:
        await Database.connect(replace(settings, database_url="postgresql://me:secret@host/db?nonsense=1"))
    assert "secret" not in str(caught.value)


async def test_the_next_host_of_the_url_is_tried(settings: Settings) -> None:
    directory = settings.database_url.partition("host=")[2].partition("&")[0]
    url = settings.database_url.replace(f"host={directory}", f"host=/nowhere,{directory}")
    database = await Database.connect(replace(settings, database_url=url))
    assert await database.fetch(ONE) == [(1,)]
    await database.close()


async def test_an_unknown_or_refusing_host_is_unavailable(settings: Settings) -> None:
    for host in ("no-such-host.invalid", "127.0.0.1:1", "localhost:1"):
        with pytest.raises(DatabaseUnavailable):
            await Database.connect(replace(settings, database_url=f"postgresql://me@{host}/db"))


async def test_a_server_that_never_answers_is_unavailable_after_the_timeout(settings: Settings) -> None:
    with silent_server() as port:
        database = Database(
            replace(settings, database_url=f"postgresql://me@127.0.0.1:{port}/db", database_timeout_seconds=0.3)
        )
        started = asyncio.get_running_loop().time()
        results = await asyncio.gather(*(database.fetch(ONE) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(result, DatabaseUnavailable) for result in results)
        assert asyncio.get_running_loop().time() - started < 10.0
        await database.close()


async def test_a_frozen_host_keeps_nobody_for_long_who_lets_statements_take_an_hour(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MOST_SECONDS", 0.6)
    parts = parsed(settings.database_url)
    with silent_server() as port:
        where = {"host": f"127.0.0.1,{parts['host']}", "port": f"{port},{parts.get('port', 5432)}"}
        url = make_dsn(**{**parts, **where})
        async with asyncio.timeout(10.0):
            database = await Database.connect(replace(settings, database_url=url, database_timeout_seconds=3600.0))
            assert await database.fetch(Statement("", "SHOW statement_timeout")) == [("1h",)]
        await database.close()


async def test_several_who_apply_the_schema_together_apply_it_once(owner: Database, settings: Settings) -> None:
    await owner.execute(Statement("", "DROP SCHEMA public CASCADE"))
    await owner.execute(Statement("", "CREATE SCHEMA public"))
    assert await is_schema_applied(settings) is False
    own = replace(settings, database_url=as_owner(settings.database_url))
    assert sorted(await asyncio.gather(*(apply_schema(own) for _ in range(6)))) == [False] * 5 + [True]
    assert await apply_schema(own) is False
    assert await is_schema_applied(settings) is True
    assert await owner.fetch(Statement("", "SELECT count(*) FROM messages")) == [(0,)]


async def test_applying_the_schema_again_keeps_the_rows(
    database: Database, owner: Database, settings: Settings
) -> None:
    await database.execute(Statement("", "INSERT INTO users (email, name, password_hash) VALUES ('a@b.c', 'A', 'x')"))
    await owner.execute(Statement("", "DROP TABLE IF EXISTS schema_applied"))
    assert await apply_schema(replace(settings, database_url=as_owner(settings.database_url))) is True
    assert await database.fetch(Statement("", "SELECT name FROM users")) == [("A",)]


async def test_a_version_finds_its_schema_after_a_later_one_was_applied(
    owner: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a process of the earlier version can start again, and its schema step does not undo the later one's."""
    own = replace(settings, database_url=as_owner(settings.database_url))
    with monkeypatch.context() as patch:
        later = tmp_path / "schema.sql"
        later.write_text(f"{schema.SCHEMA.read_text()}\nALTER TABLE listings ADD COLUMN IF NOT EXISTS colour text;\n")
        patch.setattr(schema, "SCHEMA", later)
        assert await is_schema_applied(settings) is False
        assert await apply_schema(own) is True
    assert await is_schema_applied(settings) is True
    assert await apply_schema(own) is False
    assert await owner.fetch(Statement("", "SELECT colour FROM listings")) == []
