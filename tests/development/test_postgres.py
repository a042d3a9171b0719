"""The embedded Postgres keeps committed data and can always be started again. It never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest

from development import places, postgres
from development.child import ServerFailed
from development.postgres import EmbeddedPostgres
from shared.postgres.schema import apply_schema, is_schema_applied
from shared.settings import Settings

pytestmark = pytest.mark.servers
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
async def server(directory: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(directory / "postgres", fsync=False)
    yield server
    await server.stop()


def write(server: EmbeddedPostgres, text: str) -> None:
    with closing(psycopg2.connect(server.url(role=postgres.OWNER))) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS sketches (text text)")
        cursor.execute("INSERT INTO sketches VALUES (%s)", (text,))
        connection.commit()


def read(server: EmbeddedPostgres) -> list[str]:
    with closing(psycopg2.connect(server.url(role=postgres.OWNER))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT text FROM sketches")
        return [text for (text,) in cursor.fetchall()]


async def test_committed_rows_survive_a_kill_and_the_url_stays(server: EmbeddedPostgres) -> None:
    url = await server.start()
    write(server, "committed")
    server.kill()
    assert not server.is_running
    assert await server.start() == url
    assert read(server) == ["committed"]


async def test_only_the_superuser_may_do_everything_and_the_owner_owns_the_database(server: EmbeddedPostgres) -> None:
    await server.start()
    sql = "SELECT rolname, rolsuper, pg_get_userbyid(datdba) = rolname FROM pg_roles, pg_database WHERE rolcanlogin"
    with closing(psycopg2.connect(server.url())) as connection, connection.cursor() as cursor:
        cursor.execute(f"{sql} AND datname = current_database()")
        assert sorted(cursor.fetchall()) == [
            ("daveslist", False, True),
            ("daveslist_processes", False, False),
            ("postgres", True, False),
        ]


async def test_a_cluster_whose_owner_is_its_superuser_gets_the_role_of_the_processes(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `make run` of an earlier version made it."""
    with monkeypatch.context() as patch:
        patch.setattr(postgres, "SUPERUSER", postgres.OWNER)
        patch.setattr(postgres, "ROLE", postgres.OWNER)
        await server.start()
        write(server, "committed")
        await server.stop()
    await server.start()
    assert read(server) == ["committed"]
    await apply_schema(Settings(database_url=server.url(role=postgres.OWNER)))
    assert await is_schema_applied(Settings(database_url=server.url()))


async def test_fsync_is_on_unless_it_is_turned_off(directory: Path) -> None:
    server = EmbeddedPostgres(directory / "postgres")
    try:
        with closing(psycopg2.connect(await server.start())) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW fsync")
            assert cursor.fetchone() == ("on",)
    finally:
        await server.stop()


async def test_postgres_starts_when_its_lock_file_names_another_process(server: EmbeddedPostgres) -> None:
    await server.start()
    server.kill()
    lock = server.directory / "data" / "postmaster.pid"
    _, _, rest = lock.read_text().partition("\n")
    lock.write_text(f"{os.getpid()}\n{rest}")
    await server.start()
    assert server.is_running


async def test_an_interrupted_initialisation_is_repeated(server: EmbeddedPostgres) -> None:
    unfinished = server.directory / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("half")
    await server.start()
    write(server, "works")
    assert read(server) == ["works"]
    assert not unfinished.exists()


async def test_data_of_another_major_version_is_refused_and_not_changed(server: EmbeddedPostgres) -> None:
    data = server.directory / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(ServerFailed, match=r"^.* was written by PostgreSQL 9\.6, and this is \d+$"):
        await server.start()
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


@pytest.mark.parametrize("name", ["white space", 'quo"te', "per%cent,comma", "ümläut"])
async def test_the_folder_may_have_any_name(directory: Path, name: str) -> None:
    server = EmbeddedPostgres(directory / name, fsync=False)
    try:
        await server.start()
        write(server, "works")
        assert read(server) == ["works"]
    finally:
        await server.stop()


async def test_a_path_too_long_for_a_socket_is_replaced_by_a_temporary_short_one(directory: Path) -> None:
    server = EmbeddedPostgres(directory / ("long" * 30), fsync=False)
    try:
        url = await server.start()
        write(server, "works")
        server.kill()
        assert await server.start() == url, "the short folder was not found again"
        sockets = Path((server.directory / "socket_location").read_text())
        assert (sockets / ".s.PGSQL.5432").is_socket()
    finally:
        await server.stop()
    assert not sockets.exists()


async def test_only_its_owner_can_use_the_socket(server: EmbeddedPostgres) -> None:
    await server.start()
    assert (server.directory / ".s.PGSQL.5432").stat().st_mode & 0o777 == 0o700


async def test_programs_in_a_private_folder_are_copied_to_another_one(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_is_open", lambda packages, user: False)
    await server.start()
    write(server, "works")
    assert read(server) == ["works"]
    copies = list(server.directory.glob("software-*"))
    assert len(copies) == (0 if places.system_user() is None else 1)


async def test_the_data_goes_elsewhere_when_the_folder_is_private(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = directory / "private"
    private.mkdir(mode=0o700)
    monkeypatch.setattr(places, "system_user", lambda: "nobody")
    monkeypatch.setattr(places, "STATE_FOLDERS", (directory / "absent", directory))
    assert places.postgres_directory(directory) == directory / "postgres"
    chosen = places.postgres_directory(private)
    assert chosen.parent.parent == directory
    assert places.can_enter(chosen.parent, "nobody")
    chosen.mkdir()
    assert places.postgres_directory(private) == chosen, "the chosen folder was not found again"
    assert private.stat().st_mode & 0o777 == 0o700


async def test_postgres_ends_with_its_killed_parent_and_can_start_again_at_once(
    server: EmbeddedPostgres, directory: Path
) -> None:
    script = """
import asyncio, pathlib, sys
from development.postgres import EmbeddedPostgres
server = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
asyncio.run(server.start())
print(server.pid, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(server.directory)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        write(EmbeddedPostgres(server.directory), "committed")
        parent.send_signal(signal.SIGKILL)
    await server.start()
    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
    assert read(server) == ["committed"]
