"""A database with many rows gets a new schema while processes write: no writer waits for long for a lock."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import psycopg2
import psycopg2.errors
import pytest

from development.child import happens
from shared.postgres import schema
from shared.postgres.schema import SCHEMA, apply_schema
from shared.postgres.steps import Step, statements, steps
from shared.settings import Settings
from tests.api.old_databases import VERSIONS, old_database
from tests.support.database import query
from tests.support.processes import NURSERY, base_environment
from tests.support.roles import as_owner, as_superuser
from tests.support.servers import Servers

LONGEST_LOCK = "1s"
"""A writer fails that waits longer for a lock. The steps wait for at most a fifth of it."""
PATIENCE_SECONDS = 4.0
COLUMNS_WITH_A_CHECK = {
    *("body", "colour", "condition", "doors", "drive", "engine_cc"),
    *("fuel", "owners", "power_kw", "title_status", "transmission", "vin"),
}
"""Columns of listings that every release has. No other one has a check: Postgres reads every row for it."""
MANY_ROWS = """
INSERT INTO users (id, email, name, password_hash)
SELECT 1000 + n, 'person' || n || '@example.com', 'Person ' || n, '-' FROM generate_series(1, 20000) n;
SELECT setval(pg_get_serial_sequence('users', 'id'), 100000);
INSERT INTO listings (id, category_id, seller_id, title, content, make, model, year, price, location)
SELECT 1000 + n, 1, 1000 + n, 'A car ' || n, 'It drives.', 'Make ' || n % 50, 'Model ' || n % 500, 1990 + n % 30, n, ''
FROM generate_series(1, 20000) n;
INSERT INTO messages (from_id, to_id, text)
SELECT 1001 + n % 20000, 1001 + n * 7 % 20000, 'Hello' FROM generate_series(1, 150000) n;
INSERT INTO pictures
    (listing_id, key, content_type, size, width, height, thumbnail_key, thumbnail_content_type, thumbnail_size)
SELECT 1001 + n % 20000, 'key-' || n, 'image/webp', 1, 800, 600, 'thumbnail-' || n, 'image/webp', 1
FROM generate_series(1, 100000) n
"""
FILES = (
    "SELECT relname, relfilenode FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
)
"""The file of each table. A table whose rows were all written anew has another one."""


@dataclass
class Writes:
    done: int = 0
    late: list[str] = field(default_factory=list)
    """What a writer was doing when it had waited for a lock for too long."""


@contextmanager
def writing(url: str) -> Iterator[Writes]:
    """While this lasts, somebody writes into the large tables, as the processes of the version before do."""
    writes, enough = Writes(), threading.Event()
    changes = (
        "INSERT INTO messages (from_id, to_id, text) VALUES (1001, 1002, 'More')",
        "UPDATE users SET name = name || '' WHERE id = 1003",
        "UPDATE listings SET price = price + 1 WHERE id = 1004",
        "INSERT INTO users (email, name, password_hash) VALUES (gen_random_uuid() || '@example.com', 'New', '-')",
    )

    def write() -> None:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"SET lock_timeout = '{LONGEST_LOCK}'")
            while not enough.is_set():
                for change in changes:
                    try:
                        cursor.execute(change)
                    except psycopg2.errors.LockNotAvailable:
                        writes.late.append(change)
                    writes.done += 1
                enough.wait(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield writes
    finally:
        enough.set()
        writer.join()


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
async def test_no_writer_waits_for_long_while_a_large_database_is_upgraded(servers: Servers, version: str) -> None:
    with servers.empty_database() as url:
        owner = as_owner(url)
        query(owner, old_database(version))
        query(owner, MANY_ROWS)
        files = dict(query(owner, FILES))
        with writing(owner) as writes:
            assert await happens(lambda: writes.done >= 20, 60)
            before = writes.done
            assert await apply_schema(Settings(database_url=owner))
            during = writes.done - before
        assert writes.late == []
        assert during >= 100
        assert query(owner, "SELECT count(*) FROM users WHERE email_account IS NULL AND email IS NOT NULL") == [(0,)]
        assert query(owner, "SELECT count(*) FROM listings WHERE facts IS NULL") == [(0,)]
        assert query(owner, "SELECT count(*) FROM pictures WHERE shown IS NULL") == [(0,)]
        after = dict(query(owner, FILES))
        assert {name for name, file in files.items() if after[name] != file} == set()
        assert query(owner, "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []


async def test_a_step_lets_writers_go_on_while_it_waits_for_a_long_transaction(servers: Servers) -> None:
    with servers.empty_database() as url:
        owner = as_owner(url)
        query(owner, old_database("before_mail"))
        with closing(psycopg2.connect(owner)) as long, long.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM users")
            applying = asyncio.create_task(apply_schema(Settings(database_url=owner)))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
            pattern = "ALTER TABLE users ADD COLUMN%"
            while query(owner, waiting, pattern) == [(0,)]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            done = await asyncio.to_thread(query, owner, f"SET lock_timeout = '{LONGEST_LOCK}'; SELECT 1 FROM users")
            assert done is not None
            assert not applying.done()
            long.rollback()
            assert await applying


async def test_an_index_may_take_longer_than_anything_else(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_PATIENCE_SECONDS", PATIENCE_SECONDS)
    building = "SELECT extract(epoch FROM now() - query_start) FROM pg_stat_activity WHERE query LIKE %s"
    with servers.empty_database() as url:
        owner = as_owner(url)
        query(owner, old_database("before_mail"))
        with closing(psycopg2.connect(owner)) as long, long.cursor() as cursor:
            # An index is ready only when no snapshot from before is left.
            long.set_session(isolation_level="REPEATABLE READ")
            cursor.execute("SELECT 1")
            applying = asyncio.create_task(apply_schema(Settings(database_url=owner)))
            seconds = 0.0
            while seconds < 1.5 * PATIENCE_SECONDS and not applying.done():
                await asyncio.sleep(0.05)
                seconds = max((row[0] for row in query(owner, building, "CREATE%INDEX CONCURRENTLY%")), default=seconds)
            long.rollback()
            assert await applying
        assert query(owner, "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []


async def test_a_step_may_work_longer_than_anything_else(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_PATIENCE_SECONDS", 1.0)
    connection = await schema._connect(Settings(database_url=as_owner(database_url)))
    try:
        await schema._take(connection, Step("SELECT pg_sleep(2)"))
    finally:
        connection.close()


async def test_an_upgrade_that_was_ended_while_it_built_an_index_goes_on(servers: Servers) -> None:
    with servers.empty_database() as url:
        owner = as_owner(url)
        query(owner, old_database("before_mail"))
        # What an ended CREATE INDEX CONCURRENTLY leaves behind.
        broken = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_banned'::regclass"
        query(as_superuser(url), broken)
        assert await apply_schema(Settings(database_url=owner))
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_banned'::regclass"
        assert query(owner, valid) == [(True,)]


def test_a_statement_ends_at_a_semicolon_that_is_in_no_text_body_or_comment() -> None:
    sql = """
        -- one; two
        BEGIN; SELECT 'a;''b'; -- three
        CREATE FUNCTION f() RETURNS int AS $$ SELECT 1; $$; DO $body$ BEGIN END; $body$;
        COMMIT;
    """
    assert [" ".join(one.split()) for one in statements(sql)] == [
        "BEGIN",
        "SELECT 'a;''b'",
        "CREATE FUNCTION f() RETURNS int AS $$ SELECT 1; $$",
        "DO $body$ BEGIN END; $body$",
        "COMMIT",
    ]


def test_what_replaces_a_trigger_or_a_constraint_is_one_step() -> None:
    sql = """
        ALTER TABLE a DROP CONSTRAINT IF EXISTS b; ALTER TABLE a DROP CONSTRAINT IF EXISTS c;
        ALTER TABLE a ADD CONSTRAINT c CHECK (true) NOT VALID;
        CREATE UNIQUE INDEX IF NOT EXISTS i ON a (x);
        UPDATE a SET x = 1 WHERE id IN (SELECT id FROM a LIMIT 5);
    """
    first, index, batch = steps(sql)
    assert first.sql.count(";") == 2
    # An index is a step of its own in any case: no other statement could be in one transaction with it.
    dropped, index_only = steps("ALTER TABLE a DROP CONSTRAINT IF EXISTS b; CREATE INDEX IF NOT EXISTS i ON a (x)")
    assert (dropped.index, index_only.index) == ("", "i")
    assert (index.index, index.table) == ("i", "a")
    assert index.concurrently == "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON a (x)"
    assert batch.is_batch


def test_no_step_reads_or_writes_every_row_of_a_table() -> None:
    made = steps(SCHEMA.read_text(encoding="utf-8"))
    found = [step.sql for step in made]
    assert all(step.index for step in made if re.search(r"CREATE (UNIQUE )?INDEX", step.sql))
    constraints = [sql for sql in found if "ADD CONSTRAINT" in sql]
    assert all("NOT VALID" in sql or "USING INDEX" in sql for sql in constraints)
    columns = [sql for sql in found if "ADD COLUMN" in sql and ("GENERATED" in sql or "UNIQUE" in sql)]
    assert columns == []
    checked = {
        (table, column)
        for sql in found
        if "CHECK" in sql
        for table, column in re.findall(r"ALTER TABLE (\w+) ADD COLUMN IF NOT EXISTS (\w+)", sql)
    }
    assert checked == {("listings", column) for column in COLUMNS_WITH_A_CHECK}


async def test_an_index_that_loses_to_other_locks_is_built_anew(servers: Servers) -> None:
    """As after a deadlock: whoever builds an index is ended, and what is left of the index is of no use."""
    with servers.empty_database() as url:
        owner = as_owner(url)
        query(owner, "CREATE TABLE a (x int)")
        query(as_superuser(url), "ALTER ROLE daveslist SET lock_timeout = '100ms'")
        step = Step("CREATE INDEX IF NOT EXISTS a_x ON a (x)", "a_x", "a")
        connection = await schema._connect(Settings(database_url=owner))
        with closing(psycopg2.connect(owner)) as writer, writer.cursor() as cursor:
            cursor.execute("INSERT INTO a VALUES (1)")
            building = asyncio.create_task(schema._build(connection, step))
            invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
            while query(owner, invalid) == [(0,)]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            # It has lost at least once when it waits for the second time.
            await asyncio.sleep(3 * schema._LOCK_SECONDS)
            assert not building.done()
            writer.rollback()
            await building
        connection.close()
        assert query(owner, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_x'::regclass") == [(True,)]


def test_rows_that_an_index_forbids_are_told_in_one_line(servers: Servers) -> None:
    with servers.empty_database() as url:
        owner = as_owner(url)
        query(owner, old_database("before_mail"))
        query(owner, "DROP INDEX users_email_key; UPDATE users SET email = 'ann@example.com'")
        done = NURSERY.run("api", "schema", environment={**base_environment(), "DATABASE_URL": owner})
        assert done.returncode == 1
        assert done.stderr.startswith("python -m api: the schema could not be applied: could not create unique index")
        assert done.stderr.count("\n") == 1
