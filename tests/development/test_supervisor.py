"""`make run` starts all parts, and leaves nothing behind however it ends. Stand-ins replace the API and gateways."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import aiohttp
import psutil
import psycopg2
import pytest
from yarl import URL

from development import child
from development.supervisor import SECOND_GATEWAY, wants_demo
from shared.running import find_running
from tests.support.ports import free_port, is_free
from tests.support.processes import base_environment
from tests.support.servers import copy_postgres
from tests.support.terminal import Terminal, terminal

__all__ = ["terminal"]

pytestmark = pytest.mark.servers
CHECKOUT = Path(__file__).parents[2]
SECONDS = 30.0
"""Far more time than needed. A test that waits this long fails."""


class Run:
    """One `make run` with stand-ins, or a command that starts it."""

    def __init__(self, data: Path, api_port: int, gateway_port: int) -> None:
        self.data = data
        self.api_port = api_port
        self.gateway_port = gateway_port
        self.environment = {
            **base_environment(),
            "DATA_DIRECTORY": str(data),
            "API_PORT": str(api_port),
            "GATEWAY_PORT": str(gateway_port),
        }
        self.log = data.parent / f"{data.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(
        self,
        *,
        api: str = "tests.development.standin_api",
        gateway: str = "standin_gateway",
        young_seconds: float = 5.0,
        demo: str = "",
    ) -> list[str]:
        script = f"""
import sys
from development import supervisor
supervisor.YOUNG_SECONDS = {young_seconds}
supervisor.DEMO = {tuple(demo.split())}
sys.exit(supervisor.main(api="{api}", gateway="tests.development.{gateway}"))
"""
        return [sys.executable, "-c", script]

    def gateways(self) -> list[psutil.Process]:
        return [process for process in self.processes() if "tests.development.standin_gateway" in process.cmdline()]

    def start_at(self, terminal: Terminal, *command: str) -> None:
        """Start it at a terminal, as a person does."""
        self.process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=terminal.writer,
            stderr=terminal.writer,
        )

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command or self.command(),
                cwd=CHECKOUT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self.process

    async def ready(self) -> None:
        assert await child.happens(lambda: "is running" in self.output() or not self.is_running, SECONDS), self.output()
        assert self.is_running, self.output()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def exit_code(self) -> int:
        assert self.process is not None
        assert await child.ended(self.process, SECONDS), self.output()
        return self.process.returncode

    def output(self) -> str:
        return self.log.read_text()

    def supervisor(self) -> int:
        pid: int = json.loads((self.data / "running.json").read_text())["pid"]
        return pid

    def left(self) -> list[str]:
        """The command lines of all processes that belong to this data directory."""
        return [" ".join(process.info["cmdline"]) for process in self.processes()]

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            try:
                where = process.environ().get("DATA_DIRECTORY")
                # Postgres and Redis do not have our environment, but they run in this folder.
                if where == str(self.data) or process.cwd().startswith(str(self.data)):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    async def nothing_is_left(self) -> bool:
        return await child.happens(lambda: not self.left(), SECONDS)


@pytest.fixture
def ports() -> tuple[int, int]:
    while True:
        gateway_port = free_port()
        if is_free(gateway_port + SECOND_GATEWAY):
            return free_port(), gateway_port


@pytest.fixture
async def run(directory: Path, ports: tuple[int, int]) -> AsyncIterator[Run]:
    run = Run(directory / "data", *ports)
    yield run
    if run.process is not None:
        run.process.kill()
        run.process.wait()
    left = run.processes()
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=SECONDS)


@pytest.fixture
def existing_cluster(run: Run, fresh_postgres: Path) -> None:
    """Postgres finds a cluster where it would make its own, as at every start of `make run` but the first."""
    run.data.mkdir()
    copy_postgres(fresh_postgres, run.data / "postgres")


has_a_cluster = pytest.mark.usefixtures("existing_cluster")


@pytest.fixture
def other(directory: Path, ports: tuple[int, int]) -> Iterator[Run]:
    """A second `make run`, which must end with an error."""
    run = Run(directory / "other", *ports)
    yield run
    if run.process is not None:
        run.process.kill()
        run.process.wait()


@has_a_cluster
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_everything_in_order(run: Run, number: signal.Signals) -> None:
    process = run.start()
    await run.ready()
    # The supervisor, Postgres and its helpers, Redis, the API, two gateways.
    assert len(run.left()) > 5
    assert find_running(run.data) is not None
    process.send_signal(number)
    assert await run.exit_code() == 0
    assert run.left() == []
    assert find_running(run.data) is None
    assert run.output().endswith("\nstopping\nstopped\n")
    assert sorted(path.name for path in run.data.iterdir()) == ["jwt_secret", "lock", "postgres", "redis"]


async def test_make_run_prints_the_addresses_and_an_example(run: Run) -> None:
    run.start()
    await run.ready()
    for port in (run.api_port, run.gateway_port, run.gateway_port + SECOND_GATEWAY):
        assert f"http://127.0.0.1:{port}\n" in run.output()
    assert f"ws://127.0.0.1:{run.gateway_port + SECOND_GATEWAY}/socket/websocket --count 2" in run.output()


@has_a_cluster
async def test_demo_data_comes_after_the_site_answers_and_leaves_no_process(run: Run) -> None:
    run.environment["DEMO"] = "1"
    process = run.start(*run.command(demo="--users 1 --listings 1 --pictures 1 --if-empty"))
    await run.ready()
    assert await child.happens(lambda: "\n2 pictures\n" in run.output(), 4 * SECONDS), run.output()
    assert run.output().index("is running") < run.output().index("user1@example.com")
    assert len([path for path in (run.data / "pictures").rglob("*") if path.is_file()]) == 6
    process.send_signal(signal.SIGINT)
    assert await run.exit_code() == 0
    assert run.left() == []


@pytest.mark.parametrize(
    ("wanted", "is_terminal", "is_first_start", "is_added"),
    [
        ("", True, True, True),
        ("", True, False, False),
        ("", False, True, False),
        ("0", True, True, False),
        ("1", False, False, True),
        ("yes", True, True, False),
    ],
)
def test_a_person_who_looks_for_the_first_time_sees_cars_and_a_program_does_not(
    wanted: str, is_terminal: bool, is_first_start: bool, is_added: bool
) -> None:
    assert wants_demo(wanted, is_terminal, is_first_start) is is_added


@has_a_cluster
async def test_a_second_make_run_is_refused_in_one_line_and_changes_nothing(run: Run, other: Run) -> None:
    run.start()
    await run.ready()
    other.environment["DATA_DIRECTORY"] = str(run.data)
    other.start()
    assert await other.exit_code() == 1
    assert other.output().startswith(f"Daveslist already runs on {run.data} (process {run.supervisor()}, ")
    assert other.output().count("\n") == 1
    assert run.is_running
    assert find_running(run.data) is not None


@has_a_cluster
async def test_a_taken_port_is_reported_in_one_line_and_nothing_starts(run: Run, other: Run) -> None:
    run.start()
    await run.ready()
    other.start()
    assert await other.exit_code() == 1
    assert other.output() == f"cannot listen on 127.0.0.1:{run.api_port} (API_PORT): address already in use\n"
    assert [path.name for path in other.data.iterdir()] == ["lock"]


async def test_wrong_settings_are_refused_in_one_line(run: Run) -> None:
    run.environment["API_PORT"] = "four thousand"
    run.start()
    assert await run.exit_code() == 1
    assert run.output() == "API_PORT: must be a whole number, not 'four thousand'\n"
    assert not run.data.exists()


@has_a_cluster
async def test_a_killed_make_run_ends_all_parts_and_keeps_its_data(run: Run) -> None:
    process = run.start()
    await run.ready()
    found = find_running(run.data)
    assert found is not None
    secret = (run.data / "jwt_secret").read_text()
    with closing(psycopg2.connect(found.owner_url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE of_before AS SELECT 'committed' AS text")
        connection.commit()
    process.kill()
    process.wait()
    run.start()  # Now some processes of the first run are still ending.
    await run.ready()
    with closing(psycopg2.connect(found.database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT text FROM of_before")
        assert cursor.fetchall() == [("committed",)]
    assert (run.data / "jwt_secret").read_text() == secret


@has_a_cluster
async def test_make_run_starts_again_after_all_its_processes_were_killed(run: Run) -> None:
    process = run.start()
    await run.ready()
    for running in run.processes():
        with contextlib.suppress(psutil.NoSuchProcess):  # Some processes end with the ones that were killed first.
            running.kill()
    process.wait()
    run.start()
    await run.ready()
    assert find_running(run.data) is not None


@has_a_cluster
async def test_make_run_stops_when_its_parent_is_killed(run: Run) -> None:
    parent = run.start("/bin/sh", "-c", '"$@"; exit $?', "sh", *run.command())
    await run.ready()
    assert run.supervisor() != parent.pid
    parent.kill()
    parent.wait()
    assert await run.nothing_is_left(), run.left()


@has_a_cluster
async def test_sigterm_to_make_stops_everything(run: Run, directory: Path) -> None:
    makefile = directory / "Makefile"
    script = directory / "run.py"
    script.write_text(run.command()[-1])
    makefile.write_text(f"run:\n\t@PYTHONPATH=. exec {shlex.quote(sys.executable)} {script}\n")
    make = run.start("make", "--file", str(makefile), "run")
    await run.ready()
    make.terminate()
    assert await run.exit_code() != 0, "make must report that it was terminated"
    assert run.left() == []


@has_a_cluster
async def test_a_part_that_ends_is_started_again(run: Run) -> None:
    run.start(*run.command(young_seconds=0.0))
    await run.ready()
    victim = run.gateways()[0]
    victim.kill()
    assert await child.happens(lambda: "has ended; starting it again" in run.output(), SECONDS)
    assert await child.happens(lambda: len(run.gateways()) == 2, SECONDS)
    assert run.is_running


@has_a_cluster
async def test_a_part_that_ends_just_after_its_start_stops_everything(run: Run) -> None:
    run.start(*run.command(young_seconds=SECONDS))
    await run.ready()
    run.gateways()[0].kill()
    assert await run.exit_code() == 1
    assert re.search(r"^gateway [12] ended just after it had started$", run.output(), re.MULTILINE)
    assert run.left() == []


@has_a_cluster
async def test_a_part_that_cannot_start_stops_everything(run: Run) -> None:
    run.start(*run.command(gateway="standin_broken"))
    assert await run.exit_code() == 1
    assert run.output() in (f"gateway {number} did not start: exit code 3\n" for number in (1, 2))
    assert run.left() == []


async def test_servers_named_in_the_environment_are_used_and_not_stopped(
    run: Run, database_url: str, redis_url: str
) -> None:
    run.environment |= {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    process = run.start()
    await run.ready()
    found = find_running(run.data)
    assert found is not None
    assert (found.database_url, found.owner_url, found.redis_url) == (database_url, database_url, redis_url)
    assert sorted(path.name for path in run.data.iterdir()) == ["jwt_secret", "lock", "running.json"]
    process.terminate()
    assert await run.exit_code() == 0
    with closing(psycopg2.connect(database_url)) as connection:
        assert connection.closed == 0, "make run must not stop servers that it did not start"


async def test_at_a_terminal_the_real_api_writes_for_people_and_nothing_of_the_supervisors_questions(
    run: Run, database_url: str, redis_url: str, terminal: Terminal
) -> None:
    run.environment |= {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "LOG_LEVEL": "DEBUG"}
    run.start_at(terminal, *run.command(api="api"))
    assert await child.happens(lambda: "is running" in terminal.read(), SECONDS), terminal.read()
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    async with aiohttp.ClientSession() as client:
        for path in ("/api/listings?limit=1&token=hunter2", f"/api/{token}", "/api/%1b%5b2J%0a%E2%80%AEcar"):
            url = URL(f"http://127.0.0.1:{run.api_port}{path}", encoded=True)
            async with client.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
                assert answer.status in (401, 404)
    assert await child.happens(lambda: "car" in terminal.read().rpartition("is running")[2], SECONDS), terminal.read()
    screen = terminal.read()
    lines = re.sub(r"\x1b\[[0-9;]+m", "", screen).splitlines()
    for what in (
        r"GET /api/listings 401 [\d.]+ ms",
        r"GET /api/\[redacted\] 404 .*",
        r"GET /api/\\x1b\[2J\\x0a\\u202ecar 404 .*",
    ):
        assert [one for one in lines if re.fullmatch(rf"\d\d:\d\d:\d\d api +127\.0\.0\.1 +{what}", one)], screen
    assert not [one for one in lines if one.startswith("{")]
    assert not re.search(r"health|not ready|hunter2|eyJ", screen)
