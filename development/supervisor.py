"""Runs all of Daveslist on one machine: servers, API, two gateways. It starts, watches and stops them in order.

Nothing that it starts outlives it, whatever ends it: SIGINT, SIGTERM, SIGHUP, the death of its parent (make, a
terminal), kill -9. It restarts a part that ends by itself. If the part had just been started, it stops everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from development import child, example, places
from development.child import ServerFailed
from development.claim import AlreadyRunning, Claim
from development.postgres import OWNER, EmbeddedPostgres
from development.redis import EmbeddedRedis
from shared.access.secret import jwt_secrets
from shared.folders import make_folder, why
from shared.health import SUPERVISOR
from shared.postgres import DatabaseUnavailable
from shared.postgres.address import with_password
from shared.postgres.schema import SchemaRefused, apply_schema, is_schema_applied
from shared.running import Running
from shared.settings import InvalidSettings, Settings
from shared.start import check_addresses

CHECKOUT = Path(__file__).parents[1]
READY_SECONDS = 60.0
WATCH_SECONDS = 0.1
YOUNG_SECONDS = 5.0
"""A part that ends this soon after its start would only end again."""
SAME_SIGNAL_SECONDS = 1.0
"""make forwards a SIGTERM that this process may have got itself: a second signal this soon is the same one."""
WRONG_ENVIRONMENT = 2
"""The exit code of a process that has already printed a line with the wrong variable; no other line is needed."""
SECOND_GATEWAY = 2
"""Added to the first gateway's port for the second gateway."""
GOODBYE = {"DRAIN_SECONDS": "1", "SHUTDOWN_SECONDS": "5"}
"""Settings for a quick end after Ctrl-C. Variables of the environment override them."""
DEMO = ("--users", "8", "--listings", "40", "--pictures", "40", "--if-empty")
"""What `python -m api seed` adds to the first start: a page of cars with pictures, while the site answers already."""


class CannotRun(RuntimeError):
    """Daveslist cannot start or continue. The message is one line, or "" if a process has already printed it."""


@dataclass
class Part:
    """One running server or process, and how to start it again."""

    name: str
    start: Callable[[], Awaitable[object]]
    is_running: Callable[[], bool]
    started: float


class Program:
    """A process `python -m MODULE`, which answers on /health/ready when it is ready."""

    def __init__(self, name: str, module: str, host: str, port: int, environment: Mapping[str, str]) -> None:
        self.name = name
        self.url = f"http://{_as_url_host(host)}:{port}"
        self._module = module
        self._address = (_reachable(host), port)
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start the process and wait until it is ready. Raises CannotRun."""
        self._process = child.spawn(
            [sys.executable, "-m", self._module],
            death_signal=signal.SIGKILL,
            directory=CHECKOUT,
            environment=self._environment,
        )
        deadline = time.monotonic() + READY_SECONDS
        while not await _is_ready(*self._address):
            if self._process.poll() == WRONG_ENVIRONMENT:
                raise CannotRun("")
            if self._process.poll() is not None:
                raise CannotRun(f"{self.name} did not start: {_how_it_ended(self._process.returncode)}")
            if time.monotonic() > deadline:
                raise CannotRun(f"{self.name} was not ready after {READY_SECONDS:.0f} s")
            await asyncio.sleep(0.05)

    async def stop(self, seconds: float) -> None:
        if self._process is not None:
            await child.stop(self._process, (signal.SIGTERM, seconds))


class Supervisor:
    """`run` does everything that `make run` does."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], *, api: str = "api", gateway: str = "gateway"
    ) -> None:
        """`environment` has more variables for the processes; `api` and `gateway` are their modules."""
        self._api_module, self._gateway_module = api, gateway
        self._settings = replace(settings, data_directory=settings.data_directory.absolute())
        self._environment = {
            **GOODBYE,
            **environment,
            "PYTHONUNBUFFERED": "1",
            "DATA_DIRECTORY": str(self._settings.data_directory),
        }
        self._parts: list[Part] = []
        self._postgres: EmbeddedPostgres | None = None
        self._redis: EmbeddedRedis | None = None
        self._programs: list[Program] = []
        self._is_first_start = False
        self._demo: subprocess.Popen[bytes] | None = None
        self._stop_wanted = asyncio.Event()
        self._stop_now = asyncio.Event()

    async def run(self) -> None:
        """Run until a signal to stop, then stop everything.

        Raises CannotRun, AlreadyRunning, InvalidSettings, ServerFailed.
        """
        self._watch_signals()
        check_addresses(self._settings)
        directory = self._settings.data_directory
        try:
            is_new = not directory.exists()
            make_folder(directory, 0o755)
            if is_new:
                directory.chmod(0o755)  # Postgres may have to run as a system user; secret files in here are 0600.
        except OSError as error:
            raise CannotRun(f"DATA_DIRECTORY: the folder {directory} cannot be used: {why(error)}") from None
        with Claim(directory) as claim:
            self._check_ports()
            jwt_secrets(self._settings)
            work = asyncio.create_task(self._serve(claim))
            stop_wanted = asyncio.create_task(self._stop_wanted.wait())
            try:
                await asyncio.wait((work, stop_wanted), return_when=asyncio.FIRST_COMPLETED)
                if not stop_wanted.done():
                    work.result()
                print("stopping", flush=True)
            finally:
                for task in (work, stop_wanted):
                    task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await work
                await self._stop()
            print("stopped", flush=True)

    async def _serve(self, claim: Claim) -> None:
        """Start all parts, and watch them until one cannot be restarted."""
        await self._start_servers()
        await self._start_programs(claim)
        self._start_demo()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for part in self._parts:
                if not part.is_running():
                    await self._start_again(part)

    async def _start_servers(self) -> None:
        settings = self._settings
        started = []
        if not settings.database_url:
            self._postgres = EmbeddedPostgres(places.postgres_directory(settings.data_directory))
            started.append(self._add("Postgres", self._postgres.start, self._is_postgres_running))
        if not settings.redis_url:
            self._redis = EmbeddedRedis(settings.data_directory / "redis")
            started.append(self._add("Redis", self._redis.start, self._is_redis_running))
        await asyncio.gather(*started)
        self._settings = replace(
            settings,
            database_url=self._postgres.url() if self._postgres else settings.database_url,
            redis_url=self._redis.url if self._redis else settings.redis_url,
        )
        await self._apply_schema()

    @property
    def _owner_url(self) -> str:
        """The database for the role that may change its schema. Of somebody's own Postgres only one role is known."""
        return self._postgres.url(role=OWNER) if self._postgres else self._settings.database_url

    async def _apply_schema(self) -> None:
        def used_by(url: str) -> Settings:
            return replace(self._settings, database_url=with_password(url, self._settings.database_password))

        try:
            if not await is_schema_applied(used_by(self._settings.database_url)):
                self._is_first_start = True
                await apply_schema(used_by(self._owner_url))
        except DatabaseUnavailable as error:
            raise CannotRun(f"DATABASE_URL: the database is away: {error}") from None
        except SchemaRefused as error:
            raise CannotRun(f"DATABASE_URL: {error}") from None

    async def _start_programs(self, claim: Claim) -> None:
        settings = self._settings
        servers = {**self._environment, "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
        api = Program("the API", self._api_module, settings.api_host, settings.api_port, servers)
        gateways = []
        for number, port in enumerate(_gateway_ports(settings), start=1):
            environment = {**servers, "GATEWAY_PORT": str(port)}
            name = f"gateway {number}"
            gateways.append(Program(name, self._gateway_module, settings.gateway_host, port, environment))
        urls = [gateway.url for gateway in gateways]
        claim.announce(Running(os.getpid(), settings.database_url, self._owner_url, settings.redis_url, api.url, urls))
        self._programs = [*gateways, api]
        await self._add_program(api)  # Alone: a setting that is wrong for all programs is then reported once.
        await asyncio.gather(*map(self._add_program, gateways))
        print(self._banner(api, gateways), flush=True)

    def _start_demo(self) -> None:
        """Add demo data to an empty site, in a process beside all others. Nothing waits for it."""
        wanted = self._environment.get("DEMO", "")
        if self._postgres is None or not wants_demo(wanted, sys.stdout.isatty(), self._is_first_start):
            return
        self._demo = child.spawn(
            [sys.executable, "-m", "api", "seed", *DEMO],
            death_signal=signal.SIGKILL,
            directory=CHECKOUT,
            environment={**self._environment, "DATABASE_URL": self._owner_url, "REDIS_URL": self._settings.redis_url},
        )

    async def _add_program(self, program: Program) -> None:
        await self._add(program.name, program.start, lambda: program.is_running)

    async def _add(self, name: str, start: Callable[[], Awaitable[object]], is_running: Callable[[], bool]) -> None:
        await start()
        self._parts.append(Part(name, start, is_running, time.monotonic()))

    async def _start_again(self, part: Part) -> None:
        if time.monotonic() - part.started < YOUNG_SECONDS:
            raise CannotRun(f"{part.name} ended just after it had started")
        print(f"{part.name} has ended; starting it again", flush=True)
        part.started = time.monotonic()
        await part.start()

    async def _stop(self) -> None:
        """Stop the gateways first, so that no client misses an API or database. A second signal ends the wait."""
        seconds = Settings.from_environment(self._environment).shutdown_seconds + 2.0
        stopping = asyncio.create_task(self._stop_in_order(seconds))
        impatient = asyncio.create_task(self._stop_now.wait())
        await asyncio.wait((stopping, impatient), return_when=asyncio.FIRST_COMPLETED)
        impatient.cancel()
        if not stopping.done():
            stopping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await stopping
            await self._stop_in_order(0.0)

    async def _stop_in_order(self, seconds: float) -> None:
        if self._demo is not None:
            await child.stop(self._demo, (signal.SIGTERM, seconds))
        gateways, apis = self._programs[:-1], self._programs[-1:]
        await asyncio.gather(*(gateway.stop(seconds) for gateway in gateways))
        await asyncio.gather(*(api.stop(seconds) for api in apis))
        if self._redis:
            await self._redis.stop()
        if self._postgres:
            await self._postgres.stop()

    def _watch_signals(self) -> None:
        """Watch for a signal to stop, for the death of the parent process, and then for a second signal."""
        loop = asyncio.get_running_loop()
        parent = os.getppid()
        first = 0.0

        def signalled() -> None:
            nonlocal first
            if not self._stop_wanted.is_set():
                first = time.monotonic()
                self._stop_wanted.set()
            elif time.monotonic() - first > SAME_SIGNAL_SECONDS:
                self._stop_now.set()

        def watch() -> None:
            # An orphan gets a new parent. This check also notices a parent that was killed, and works on every system.
            if os.getppid() != parent:
                self._stop_wanted.set()
            else:
                loop.call_later(WATCH_SECONDS, watch)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, signalled)
        watch()

    def _is_postgres_running(self) -> bool:
        return self._postgres is not None and self._postgres.is_running

    def _is_redis_running(self) -> bool:
        return self._redis is not None and self._redis.is_running

    def _check_ports(self) -> None:
        """Check that the ports are free, before anything starts. Raises CannotRun."""
        settings = self._settings
        first, second = _gateway_ports(settings)
        wanted = [("API_PORT", settings.api_host, settings.api_port), ("GATEWAY_PORT", settings.gateway_host, first)]
        wanted.append((f"GATEWAY_PORT + {SECOND_GATEWAY}", settings.gateway_host, second))
        if second > 65535 or settings.api_port in (first, second):
            raise CannotRun(f"the gateways need {first} and {second}, and the API {settings.api_port}: choose others")
        for name, host, port in wanted:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    reason = error.strerror or str(error)
                    raise CannotRun(f"cannot listen on {host}:{port} ({name}): {reason.lower()}") from None

    def _banner(self, api: Program, gateways: list[Program]) -> str:
        settings = self._settings
        postgres = f"embedded, data in {self._postgres.directory}" if self._postgres else "yours (DATABASE_URL)"
        redis = "embedded" if self._redis else "yours (REDIS_URL)"
        rows = [("API, web page", api.url), *((gateway.name, gateway.url) for gateway in gateways)]
        mail = "sent by SMTP_URL" if settings.smtp_url else f"written into {settings.mail_folder}"
        rows += [("Postgres", postgres), ("Redis", redis), ("data", str(settings.data_directory)), ("mail", mail)]
        table = "\n".join(f"  {name:<14} {where}" for name, where in rows)
        urls = [gateway.url for gateway in gateways]
        session = example.session(api.url, *urls)
        return f"\nDaveslist is running. Ctrl-C stops it.\n\n{table}\n\n{example.INTRODUCTION}\n\n{session}"


def wants_demo(wanted: str, is_terminal: bool, is_first_start: bool) -> bool:
    """Returns whether a start adds demo data. `wanted` is the variable DEMO: "1", "0", or "" if it is not set.

    Without the variable, a person who looks at the first start at a terminal gets it, and a program does not.
    """
    return wanted == "1" or (not wanted and is_terminal and is_first_start)


def _gateway_ports(settings: Settings) -> tuple[int, int]:
    return settings.gateway_port, settings.gateway_port + SECOND_GATEWAY


async def _is_ready(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(5.0):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                head = f"GET /health/ready HTTP/1.1\r\nHost: {_as_url_host(host)}\r\nUser-Agent: {SUPERVISOR}\r\n"
                writer.write(f"{head}Connection: close\r\n\r\n".encode())
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def _reachable(host: str) -> str:
    """Returns the address at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _as_url_host(host: str) -> str:
    host = _reachable(host)
    return f"[{host}]" if ":" in host else host


def _how_it_ended(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


def main(*, api: str = "api", gateway: str = "gateway") -> int:
    """Returns the exit code: 0, or 1 after one line about what prevents the run."""
    try:
        settings = Settings.from_environment()
        asyncio.run(Supervisor(settings, os.environ, api=api, gateway=gateway).run())
    except (CannotRun, AlreadyRunning, InvalidSettings, ServerFailed) as failure:
        if str(failure):
            print(failure, file=sys.stderr)
        return 1
    except BrokenPipeError:  # The reader of the output has gone: `make run | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0
