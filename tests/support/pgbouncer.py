"""Runs PgBouncer in transaction mode before a test's Postgres. Few server connections serve many clients."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from development import child, places
from development.postgres import OWNER, ROLE, SUPERUSER
from shared.postgres.address import parsed
from tests.support.ports import free_port
from tests.support.scratch import scratch_directory
from tests.support.servers import Servers, run

START_SECONDS = 20.0
POOL = 3
"""Connections to Postgres that all clients share."""


def find_pgbouncer() -> str | None:
    """The path of PgBouncer; None if there is none. Debian puts it into a folder that is only in root's PATH."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


class PgBouncer:
    """One PgBouncer. It can be stopped and started again on the same port."""

    def __init__(self, program: str, directory: Path, server_url: str, settings: dict[str, str]) -> None:
        """`server_url` is the URL of a database of the server. The pool's databases have the names that the server's
        have. `settings` are lines of its configuration."""
        self.port = free_port()
        self._program = program
        self._directory = directory
        self._server = parsed(server_url)
        self._user = places.system_user()
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": str(directory / "users.txt"),
            "admin_users": SUPERUSER,
            "pool_mode": "transaction",
            "default_pool_size": str(POOL),
            "max_client_conn": "1000",
            "server_login_retry": "0.2",
            **settings,
        }

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url(self, database_url: str) -> str:
        """The URL of the same database for the same role through PgBouncer."""
        parts = parsed(database_url)
        return f"postgresql://{parts['user']}@127.0.0.1:{self.port}/{parts['dbname']}"

    def output(self) -> str:
        return (self._directory / "output").read_text(encoding="utf-8", errors="replace")

    async def start(self) -> None:
        host, port = self._server["host"], self._server.get("port", "5432")
        lines = ["[databases]", f"* = host={host} port={port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in self._settings.items()]
        configuration = self._directory / "pgbouncer.ini"
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        users = "".join(f'"{role}" ""\n' for role in (ROLE, OWNER, SUPERUSER))
        (self._directory / "users.txt").write_text(users, encoding="utf-8")
        if self._user is not None:
            os.chown(self._directory, pwd.getpwnam(self._user).pw_uid, -1)
        with (self._directory / "output").open("ab") as output:
            process = self._process = child.spawn(
                [self._program, "-q", configuration],
                death_signal=signal.SIGKILL,
                user=self._user,
                directory=self._directory,
                output=output,
            )
        is_up = await child.happens(lambda: process.poll() is not None or self._answers(), START_SECONDS)
        assert is_up, f"PgBouncer did not start: {self.output()}"
        assert process.poll() is None, self.output()

    async def stop(self) -> None:
        """End it at once, and every connection."""
        if self._process is not None:
            await child.stop(self._process, (signal.SIGTERM, START_SECONDS))
            self._process = None

    async def command(self, command: str) -> list[tuple[Any, ...]]:
        """Run a command of its console, such as PAUSE; returns the rows."""
        return await asyncio.to_thread(self._command, command)

    def _command(self, command: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(host="127.0.0.1", port=self.port, dbname="pgbouncer", user=SUPERUSER)) as console:
            console.autocommit = True
            with console.cursor() as cursor:
                cursor.execute(command)
                return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        try:
            return bool(self._command("SHOW VERSION"))
        except psycopg2.OperationalError:
            return False


@asynccontextmanager
async def running_pgbouncer(server_url: str, **settings: str) -> AsyncIterator[PgBouncer]:
    """A PgBouncer before the server of this database. Without PgBouncer on this machine, the test is skipped."""
    program = find_pgbouncer()
    if program is None:
        pytest.skip("no PgBouncer on this machine")
    with scratch_directory() as directory:
        pooler = PgBouncer(program, directory, server_url, settings)
        try:
            await pooler.start()
            yield pooler
        finally:
            await pooler.stop()


@contextmanager
def pgbouncer_of(servers: Servers) -> Iterator[PgBouncer]:
    """Like `running_pgbouncer`, for fixtures without a loop."""
    context = running_pgbouncer(servers.postgres.url())
    pooler = run(context.__aenter__())
    try:
        yield pooler
    finally:
        run(context.__aexit__(None, None, None))
