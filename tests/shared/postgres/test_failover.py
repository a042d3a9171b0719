"""A primary freezes, dies or takes no more writes, and a standby is promoted: statements soon work again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from development.child import happens
from development.postgres import EmbeddedPostgres
from shared.postgres import Database, DatabaseUnavailable, Statement
from shared.postgres.address import InvalidDatabaseUrl, parsed, resolved, with_password
from shared.settings import Settings
from tests.shared.postgres.conftest import Victim
from tests.support.freezing import freeze, thaw
from tests.support.replication import ask, replication
from tests.support.waiting import PATIENCE_SECONDS

ADD = Statement("add", "INSERT INTO numbers VALUES ($1)", ("integer",))
ADD_ONCE = Statement("add_once", "INSERT INTO numbers VALUES ($1) ON CONFLICT DO NOTHING", ("integer",))
READ = Statement("read", "SELECT count(*) FROM numbers")
WAITING_FOR_A_STANDBY = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
SYNCHRONOUS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
SLOWLY = Statement("slowly", "SELECT pg_sleep(0.1)")
NUMBERS = "CREATE TABLE numbers (number integer PRIMARY KEY); GRANT ALL ON numbers TO PUBLIC"
TIMEOUT = 1.0
POOL = 10


async def in_time(work: Callable[[], Awaitable[object]], seconds: float) -> list[float]:
    """Repeat the work until it succeeds, and return how long each failure took. Fails after `seconds`."""
    began = time.monotonic()
    took: list[float] = []
    while True:
        at = time.monotonic()
        try:
            await work()
        except DatabaseUnavailable:
            took.append(time.monotonic() - at)
            assert time.monotonic() - began < seconds, took
            await asyncio.sleep(0.02)
        else:
            return took


@pytest.mark.servers
async def test_a_frozen_primary_is_left_for_the_promoted_standby_without_a_wait_for_each_connection(
    fresh_postgres: Path,
) -> None:
    async with replication(fresh_postgres) as pair:
        ask(pair.primary, NUMBERS)
        settings = Settings(database_url=pair.url(), database_pool_size=POOL, database_timeout_seconds=TIMEOUT)
        database = await Database.connect(settings)
        await asyncio.gather(*(database.fetch(SLOWLY) for _ in range(POOL)))
        await asyncio.gather(*(database.execute(ADD, n) for n in range(POOL)))
        assert database.pool.size == POOL

        freeze(pair.primary.pid)
        try:
            await pair.promote()
            # One caller after the other, as messages are stored. The ten idle connections do not cost a timeout each.
            failures = await in_time(lambda: database.execute(ADD, 100), 60.0)
            print(f"failures took {failures} s")
            assert len(failures) < POOL
            assert await database.fetch(READ) == [(POOL + 1,)]
            # New connections do not begin with the frozen one.
            await asyncio.gather(*(database.fetch(SLOWLY) for _ in range(POOL)))
            others = await Database.connect(settings)
            await others.close()
        finally:
            thaw(pair.primary.pid)
        # What comes back is another primary, which an operator has to end. Nobody writes to it.
        await asyncio.gather(*(database.execute(ADD, 200 + n) for n in range(3 * POOL)))
        count = "SELECT count(*) FROM numbers WHERE number >= 100"
        assert (ask(pair.primary, count), ask(pair.standby, count)) == ([(0,)], [(1 + 3 * POOL,)])
        await database.close()


@pytest.mark.servers
async def test_what_a_synchronous_standby_has_confirmed_is_there_after_the_primary_died(fresh_postgres: Path) -> None:
    async with replication(fresh_postgres) as pair:
        ask(pair.primary, NUMBERS)
        settings = Settings(database_url=pair.url(), database_pool_size=POOL, database_timeout_seconds=TIMEOUT)
        database = await Database.connect(settings)
        acknowledged: list[int] = []

        async def write(begin: int) -> None:
            for number in range(begin, begin + 200):
                # What has failed may have taken effect.
                await in_time(lambda number=number: database.execute(ADD_ONCE, number), 60.0)  # type: ignore[misc]
                acknowledged.append(number)

        writers = [asyncio.create_task(write(1000 * n)) for n in range(POOL)]
        while len(acknowledged) < 3 * POOL:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        pair.primary.kill()
        before = len(acknowledged)
        await pair.promote()
        await asyncio.gather(*writers)
        stored = {number for (number,) in ask(pair.standby, "SELECT number FROM numbers")}
        print(f"{before} acknowledged before the kill, {len(acknowledged)} in all, {len(stored)} stored")
        assert stored == set(acknowledged)
        await database.close()


@pytest.mark.servers
async def test_writes_that_wait_for_a_standby_end_by_the_command_of_the_operating_guide(fresh_postgres: Path) -> None:
    # As the guide sets it: what a server gets with its command goes before ALTER SYSTEM.
    async with replication(fresh_postgres, is_synchronous=False) as pair:
        ask(pair.primary, NUMBERS)
        ask(pair.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        ask(pair.primary, "SELECT pg_reload_conf()")
        assert await happens(lambda: ask(pair.primary, SYNCHRONOUS) == [(1,)], PATIENCE_SECONDS)
        url = pair.url()
        freeze(pair.standby.pid)
        try:
            database = await Database.connect(
                Settings(database_url=url, database_pool_size=POOL, database_timeout_seconds=TIMEOUT)
            )
            assert [await succeeds(database.execute(ADD, n)) for n in range(3)] == [False] * 3
            # Nobody reads what no standby has. Reads go on as long as Postgres takes connections.
            assert await database.fetch(READ) == [(0,)]
            assert ask(pair.primary, WAITING_FOR_A_STANDBY) == [(3,)]
            ask(pair.primary, "ALTER SYSTEM SET synchronous_standby_names = ''")
            ask(pair.primary, "SELECT pg_reload_conf()")
            await in_time(lambda: database.execute(ADD_ONCE, 0), 20.0)
            assert await happens(lambda: ask(pair.primary, WAITING_FOR_A_STANDBY) == [(0,)], PATIENCE_SECONDS)
            assert await database.fetch(READ) == [(3,)]
            await database.close()
        finally:
            thaw(pair.standby.pid)


@pytest.mark.servers
async def test_a_primary_that_takes_no_more_writes_fails_one_statement_and_loses_all_connections(
    victim: Victim,
) -> None:
    """Idle connections, which nobody would write on for long, do not fail one after the other."""
    patient = replace(victim.settings, database_pool_size=POOL, database_timeout_seconds=10.0)
    database = await Database.connect(patient)
    await asyncio.gather(*(database.fetch(SLOWLY) for _ in range(POOL)))
    victim.administer(NUMBERS, "ALTER DATABASE daveslist SET default_transaction_read_only = off")
    victim.administer("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    # New connections take writes; open ones do not, as soon as they have noticed.
    outcomes: list[bool] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while outcomes.count(False) == 0:
            outcomes.append(await succeeds(database.execute(ADD, len(outcomes))))
    assert [await succeeds(database.execute(ADD, 10_000_000 + n)) for n in range(2 * POOL)] == [True] * 2 * POOL
    await database.close()


@pytest.mark.servers
async def test_with_several_hosts_a_demoted_primary_is_left_even_by_those_who_only_read(victim: Victim) -> None:
    host = parsed(victim.server.url())["host"]
    url = f"postgresql://daveslist_processes@/daveslist?host=/nowhere,{host}"
    database = await Database.connect(replace(victim.settings, database_url=url, database_pool_size=2))
    victim.administer(NUMBERS, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await succeeds(database.fetch(READ)):
            pass
    victim.administer("ALTER SYSTEM SET default_transaction_read_only = off", "SELECT pg_reload_conf()")
    await in_time(lambda: database.fetch(READ), 20.0)
    await database.close()


async def succeeds(work: Awaitable[object]) -> bool:
    try:
        await work
    except DatabaseUnavailable:
        return False
    return True


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@127.0.0.1:5432,127.0.0.2:5433/d?target_session_attrs=read-write",
        "host=127.0.0.1,127.0.0.2 port=5432,5433 user=u password=p dbname=d target_session_attrs=read-write",
        "hostaddr=127.0.0.1,127.0.0.2 port=5432,5433 user=u password=p dbname=d",
    ],
)
async def test_each_host_of_a_url_is_a_server_of_its_own(url: str) -> None:
    servers = await resolved(url, TIMEOUT)
    assert [server.name for server in servers] == ["127.0.0.1", "127.0.0.2"]
    found = [parsed(server.dsn) for server in servers]
    assert [(one["hostaddr"], one["port"]) for one in found] == [("127.0.0.1", "5432"), ("127.0.0.2", "5433")]
    assert {(one["user"], one["password"], one["dbname"]) for one in found} == {("u", "p", "d")}
    assert {one["target_session_attrs"] for one in found} == {"read-write"}


async def test_one_host_is_taken_as_it_is_and_one_port_is_for_all_hosts() -> None:
    [server] = await resolved("postgresql:///d?host=/tmp/sockets", TIMEOUT)
    assert "target_session_attrs" not in parsed(server.dsn)
    assert [parsed(one.dsn).get("host") for one in await resolved("dbname=d", TIMEOUT)] == [None]
    both = [parsed(server.dsn) for server in await resolved("host=/a,/b port=7 target_session_attrs=any", TIMEOUT)]
    assert [(one["host"], one["port"], one["target_session_attrs"]) for one in both] == [
        ("/a", "7", "any"),
        ("/b", "7", "any"),
    ]


async def test_a_host_whose_name_is_not_found_does_not_hide_the_others() -> None:
    servers = await resolved("postgresql://no-such-host.invalid,localhost/d", 10.0)
    assert {server.name for server in servers} == {"localhost"}
    with pytest.raises(DatabaseUnavailable, match=r"no-such-host\.invalid|nor-this\.invalid"):
        await resolved("postgresql://no-such-host.invalid,nor-this.invalid/d", 10.0)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://u:SECRET@a,b/d?target_session_attrs=standby", "target_session_attrs"),
        ("host=a,b,c port=1,2 password=SECRET", "ports"),
        ("host=a,b hostaddr=127.0.0.1 password=SECRET", "hosts"),
        ("host=a,b port=1,x password=SECRET", "port"),
        ("postgresql://u:SECRET@a:1,b:2,/d", "hosts is empty"),
        ("postgresql://u:SECRET@,b/d", "hosts is empty"),
        ("host=a,,b password=SECRET", "hosts is empty"),
        ("hostaddr=127.0.0.1, password=SECRET", "hosts is empty"),
    ],
)
def test_an_address_that_cannot_work_is_refused_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(InvalidDatabaseUrl, match=rf"^DATABASE_URL: (its?|one of) .*{reason}") as caught:
        parsed(url)
    assert "SECRET" not in str(caught.value)


def test_the_password_of_its_own_variable_is_for_all_hosts() -> None:
    for url in ("postgresql://u@a:1,b:2/d", "host=a,b port=1,2 user=u dbname=d"):
        assert parsed(with_password(url, "p")) == {**parsed(url), "password": "p"}


NUMBERED = """SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = current_schema() AND is_identity = 'YES'"""
NOBODY_SEES = {"outbox", "forgotten_passwords", "listing_changes", "recent_texts", "queue_changes", "pushes"}
"""Tables whose numbers are only for the work that is to be done."""
TABLES = ("users", "listings", "messages", "deleted_messages", "alerts")
PEOPLE = """INSERT INTO users (email, name, password_hash)
    SELECT gen_random_uuid() || '@example.com', 'Somebody', '-' FROM generate_series(1, 40) RETURNING id"""
LISTINGS = """INSERT INTO listings (seller_id, category_id, title, content)
    SELECT min(u.id), min(c.id), 'A car', '' FROM users u, categories c, generate_series(1, 40) AS n
    GROUP BY n RETURNING id"""
MESSAGES = """INSERT INTO messages (from_id, to_id, text)
    SELECT min(id), min(id), 'Hello' FROM users, generate_series(1, 40) AS n GROUP BY n RETURNING id"""
DELETIONS = """INSERT INTO deleted_messages (message_id, from_id, deleted_at)
    SELECT n, n, now() FROM generate_series(1, 40) AS n RETURNING number"""
ALERTS = """INSERT INTO alerts (user_id, kind, listing_id)
    SELECT min(u.id), 'sold', min(l.id) FROM users u, listings l, generate_series(1, 40) AS n GROUP BY n RETURNING id"""


@pytest.mark.servers
async def test_no_number_of_a_lost_row_is_given_again(fresh_postgres: Path) -> None:
    """Postgres skips 32 numbers at a promotion, so more than that are lost here."""
    rows = (PEOPLE, LISTINGS, MESSAGES, DELETIONS, ALERTS)
    async with replication(fresh_postgres, is_synchronous=False) as pair:
        ask(pair.primary, "INSERT INTO categories (name) VALUES ('Cars')")
        kept = [_add(pair.primary, sql) for sql in rows]
        await pair.hold_back()
        lost = [_add(pair.primary, sql) for sql in rows]
        pair.kill_primary()
        await pair.promote()
        assert [ask(pair.standby, f"SELECT count(*) FROM {table}") for table in TABLES] == [[(40,)]] * len(rows)
        for before, gone, sql in zip(kept, lost, rows, strict=True):
            first, second = _add(pair.standby, sql), _add(pair.standby, sql)
            assert min(gone) == max(before) + 1
            assert max(gone) + 1000 < min(first), sql
            # Only the first insert leaves numbers out.
            assert second == [number + 40 for number in first], sql


@pytest.mark.servers
async def test_every_number_that_people_see_is_left_out_after_a_promotion(fresh_postgres: Path) -> None:
    async with replication(fresh_postgres, is_synchronous=False) as pair:
        numbered = dict(ask(pair.primary, NUMBERED))
        assert numbered.keys() >= NOBODY_SEES
        seen = numbered.keys() - NOBODY_SEES
        assert {name for (name,) in ask(pair.primary, "SELECT table_name FROM number_timelines")} == seen
        pair.kill_primary()
        await pair.promote()
        for table in sorted(seen):
            present = f"SELECT last_value FROM {table}_{numbered[table]}_seq"
            [(before,)] = ask(pair.standby, present)
            # The trigger is for each statement, also for one that adds no row.
            ask(
                pair.standby,
                f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table} WHERE false RETURNING 1",
            )
            [(after,)] = ask(pair.standby, present)
            assert after - before >= 10000, table


def _add(server: EmbeddedPostgres, sql: str) -> list[int]:
    """The numbers of the rows that the statement adds, with the rights of a process."""
    with closing(psycopg2.connect(server.url())) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return sorted(number for (number,) in cursor.fetchall())
