"""The processes' role reads and writes rows, and can do nothing else; the audit log only grows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pytest

from shared.postgres.schema import SchemaRefused, apply_schema, is_schema_applied
from shared.settings import Settings
from tests.support.roles import as_owner, as_superuser
from tests.support.servers import Servers

pytestmark = pytest.mark.servers

FORBIDDEN = [
    "CREATE TABLE mine (number integer)",
    "CREATE TEMPORARY TABLE mine (number integer)",
    "CREATE TABLE mine AS SELECT * FROM users",
    "CREATE SCHEMA mine",
    "CREATE VIEW mine AS SELECT * FROM users",
    "CREATE SEQUENCE mine",
    "CREATE TYPE mine AS (number integer)",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE INDEX mine ON users (name)",
    "CREATE TRIGGER mine BEFORE INSERT ON users EXECUTE FUNCTION refuse_change()",
    "CREATE RULE mine AS ON INSERT TO audit DO INSTEAD NOTHING",
    "CREATE EXTENSION hstore",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "CREATE PUBLICATION mine FOR TABLE users",
    "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION refuse_change()",
    "ALTER TABLE users ADD COLUMN mine integer",
    "ALTER TABLE users OWNER TO daveslist_processes",
    "ALTER TABLE audit DISABLE TRIGGER audit_is_append_only",
    "ALTER TABLE audit DISABLE TRIGGER ALL",
    "ALTER TRIGGER audit_is_append_only ON audit RENAME TO mine",
    "ALTER FUNCTION refuse_change() RENAME TO mine",
    "ALTER ROLE daveslist_processes SUPERUSER",
    "ALTER ROLE daveslist_processes CREATEROLE",
    "ALTER ROLE daveslist PASSWORD 'mine'",
    "ALTER SYSTEM SET fsync = off",
    "ALTER DEFAULT PRIVILEGES FOR ROLE daveslist GRANT ALL ON TABLES TO daveslist_processes",
    "GRANT daveslist TO daveslist_processes",
    "GRANT pg_read_all_data TO daveslist_processes",
    "DROP TABLE reports",
    "DROP TRIGGER audit_is_append_only ON audit",
    "DROP FUNCTION refuse_change() CASCADE",
    "DROP INDEX users_email_key",
    "DROP SCHEMA public CASCADE",
    "TRUNCATE users CASCADE",
    "TRUNCATE vocabulary",
    "TRUNCATE audit",
    "UPDATE audit SET action = 'nothing'",
    "UPDATE audit SET reason = NULL WHERE false",
    "DELETE FROM audit",
    "DELETE FROM audit WHERE false",
    "SELECT FROM audit FOR UPDATE",
    "MERGE INTO audit USING users u ON u.id = audit.id WHEN MATCHED THEN DELETE",
    "LOCK TABLE audit IN ACCESS EXCLUSIVE MODE",
    "DELETE FROM users WHERE false",
    "DELETE FROM categories WHERE false",
    "DELETE FROM messages WHERE false",
    "INSERT INTO schema_applied VALUES ('mine')",
    "DELETE FROM schema_applied",
    "DELETE FROM number_timelines",
    "SELECT setval('users_id_seq', 1)",
    "SELECT nextval('audit_id_seq')",
    "SELECT rolpassword FROM pg_authid",
    "SELECT passwd FROM pg_shadow",
    "SELECT * FROM pg_statistic",
    "SELECT * FROM pg_hba_file_rules",
    "COPY users TO PROGRAM 'true'",
    "COPY abandoned_files FROM PROGRAM 'true'",
    "COPY users TO '/tmp/users'",
    "COPY abandoned_files FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_reload_conf()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
    "SELECT pg_create_physical_replication_slot('mine')",
    "SET session_replication_role = replica",
    "SET ROLE daveslist",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "SET log_statement = 'none'",
    "REINDEX TABLE users",
    "CLUSTER users USING users_pkey",
    "COMMENT ON TABLE users IS 'mine'",
    "LOAD '/tmp/mine.so'",
]

NEVER_DELETED = {"users", "categories", "messages"}
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")


@pytest.fixture
def session(database_url: str) -> Iterator[psycopg2.extensions.cursor]:
    """A session of the processes' role, in a transaction that is rolled back."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        yield cursor
        connection.rollback()


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_processes_role_may_not(session: psycopg2.extensions.cursor, statement: str) -> None:
    if statement.startswith(("CREATE DATABASE", "ALTER SYSTEM")):
        session.connection.autocommit = True
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        session.execute(statement)


def test_a_right_cannot_be_handed_on(session: psycopg2.extensions.cursor) -> None:
    """Postgres warns and does nothing, instead of an error, if the role has some right on the table."""
    session.execute("GRANT DELETE ON audit TO daveslist_processes; GRANT SELECT ON users TO PUBLIC")
    assert all("no privileges were granted" in notice for notice in session.connection.notices[-2:])
    session.execute(
        "SELECT has_table_privilege('audit', 'DELETE'), has_table_privilege('pg_monitor', 'users', 'SELECT')"
    )
    assert session.fetchall() == [(False, False)]


def test_the_processes_role_has_exactly_these_rights_on_tables(session: psycopg2.extensions.cursor) -> None:
    session.execute(
        """SELECT relname, ARRAY(SELECT kind FROM unnest(%s::text[]) kind WHERE has_table_privilege(c.oid, kind))
           FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')""",
        (list(RIGHTS),),
    )
    found = {name: set(rights) for name, rights in session.fetchall()}
    assert len(found) > 10
    expected = {name: {"SELECT", "INSERT", "UPDATE", "DELETE"} for name in found}
    for name in NEVER_DELETED:
        expected[name].remove("DELETE")
    expected |= {"audit": {"SELECT", "INSERT"}, "schema_applied": {"SELECT"}, "number_timelines": {"SELECT", "UPDATE"}}
    assert found == expected


@pytest.mark.parametrize("role", ["daveslist", "daveslist_processes"])
def test_neither_role_has_a_power_over_the_server(session: psycopg2.extensions.cursor, role: str) -> None:
    session.execute(
        """SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
                  EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid)
           FROM pg_roles r WHERE rolname = %s""",
        (role,),
    )
    assert session.fetchall() == [(False,) * 6]


def test_only_a_trigger_that_takes_nothing_from_its_caller_has_the_rights_of_its_owner(
    session: psycopg2.extensions.cursor,
) -> None:
    session.execute(
        """SELECT proname, prorettype::regtype::text, proconfig::text LIKE '%search_path=%'
           FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"""
    )
    assert session.fetchall() == [("leave_numbers_out", "trigger", True)]
    # Who may set it off can change nothing but what it notes itself.
    session.execute("SELECT * FROM number_timelines ORDER BY table_name")
    rows = session.fetchall()
    session.execute("UPDATE number_timelines SET timeline = 'x', table_name = 'audit' || table_name, left_out = 5")
    session.execute("SELECT * FROM number_timelines ORDER BY table_name")
    assert session.fetchall() == rows


def test_the_processes_role_may_use_a_table_to_come(database_url: str) -> None:
    run(as_owner(database_url), "CREATE TABLE sketches (id bigint GENERATED ALWAYS AS IDENTITY, text text)")
    run(database_url, "INSERT INTO sketches (text) VALUES ('new'); UPDATE sketches SET text = 'newer'")
    assert run(database_url, "DELETE FROM sketches RETURNING id, text") == [(1, "newer")]


async def test_a_server_that_does_not_tell_its_timeline_leaves_no_numbers_out(servers: Servers) -> None:
    with servers.empty_database() as url:
        run(as_superuser(url), "REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM PUBLIC")
        assert await apply_schema(Settings(database_url=as_owner(url)))
        add = "INSERT INTO users (email, name, password_hash) VALUES (gen_random_uuid(), 'Ann', '-') RETURNING id"
        assert [run(url, add) for _ in range(2)] == [[(1,)], [(2,)]]


def test_the_trigger_of_the_audit_log_refuses_even_the_owner(database_url: str) -> None:
    run(
        database_url,
        """INSERT INTO users (email, name, password_hash) VALUES ('ann@example.com', 'Ann', '-');
           INSERT INTO audit (actor_id, action, target_type, target_id) SELECT id, 'ban', 'user', id FROM users""",
    )
    for role in (as_owner, as_superuser):
        for statement in ("UPDATE audit SET action = 'nothing'", "DELETE FROM audit", "TRUNCATE audit"):
            with pytest.raises(psycopg2.Error, match="append-only"):
                run(role(database_url), statement)
    assert run(database_url, "SELECT action FROM audit") == [("ban",)]


async def test_the_schema_is_refused_to_the_processes_role_in_one_line(settings: Settings) -> None:
    with pytest.raises(SchemaRefused, match=r"^the role daveslist_processes may not change the schema: [^\n]+$"):
        await apply_schema(settings)


async def test_a_role_that_may_create_tables_but_owns_none_is_refused_in_one_line(settings: Settings) -> None:
    url = settings.database_url
    run(as_owner(url), "GRANT CREATE ON SCHEMA public TO daveslist_processes")
    run(as_superuser(url), "DELETE FROM schema_applied")
    with pytest.raises(SchemaRefused, match=r"^the role daveslist_processes may not change the schema: [^\n]+$"):
        await apply_schema(settings)


async def test_the_rights_are_set_right_whenever_the_schema_is_applied(settings: Settings) -> None:
    url = settings.database_url
    run(as_owner(url), "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM daveslist_processes")
    assert not await is_schema_applied(settings)
    run(as_owner(url), "GRANT ALL ON audit, users TO daveslist_processes; GRANT ALL ON SCHEMA public TO PUBLIC")
    assert await apply_schema(replace(settings, database_url=as_owner(url))) is False
    assert await is_schema_applied(settings)
    for statement in ("DELETE FROM audit", "TRUNCATE users", "CREATE TABLE mine (number integer)"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            run(url, statement)


async def test_one_role_may_do_everything_where_the_processes_have_no_role_of_their_own(settings: Settings) -> None:
    """As on somebody's own Postgres with a single role."""
    url = settings.database_url
    run(as_owner(url), "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM daveslist_processes")
    own = replace(settings, database_url=as_owner(url))
    assert await is_schema_applied(own)
    assert await apply_schema(own) is False


def run(url: str, sql: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []
