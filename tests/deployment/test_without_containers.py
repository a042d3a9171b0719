"""docs/without-containers.md is followed as far as processes go: two machines are two sets of ports here."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from development.child import happens
from development.postgres import ROLE
from shared.settings import Settings
from shared.workers.parent import CLEANING_SECONDS
from tests.deployment.composefile import read
from tests.deployment.nginx import CONFIGURATION, find_nginx, running_nginx
from tests.deployment.units import FOLDER, Unit, unit
from tests.end_to_end.faults.load import Load
from tests.support.ports import free_port
from tests.support.processes import CHECKOUT, Node, Processes
from tests.support.roles import as_owner
from tests.support.secret import JWT_SECRET
from tests.support.servers import Servers
from tests.workers.crew import all_up, begun

GUIDE = (CHECKOUT / "docs" / "without-containers.md").read_text(encoding="utf-8")
UNITS = [unit("daveslist-api"), unit("daveslist-gateway")]
MACHINES = ("10.0.0.1", "10.0.0.2")
PORTS = {"api": 4001, "gateway": 4000}
SOON = 60.0
NOBODY = 65534
LOOK = "curl --fail --retry 30 --retry-delay 1 --retry-connrefused"
EXPOSED = 45
"""Tenths of the points that systemd gives for what a service may do; 100 is no confinement at all."""


def block(heading: str, language: str, words: str) -> str:
    """The block of the guide below a heading that has these words."""
    section = GUIDE.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    # A block in a list is indented.
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", section, re.DOTALL | re.MULTILINE)
    [found] = [each for _, each in blocks if words in each]
    return textwrap.dedent(found)


def settings_of_the_guide() -> dict[str, str]:
    lines = block("Settings", "ini", "ENVIRONMENT").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_two_units_differ_only_in_what_they_run() -> None:
    api, gateway = UNITS
    for one, other in zip(api.one.items(), gateway.one.items(), strict=True):
        if one[0] not in ("Description", "ExecStart"):
            assert one == other
    assert api.several == gateway.several
    assert [each.module for each in UNITS] == ["api", "gateway"]


@pytest.mark.parametrize("of", UNITS, ids=lambda each: each.name)
def test_a_unit_fits_the_settings_and_the_deployment_in_containers(of: Unit) -> None:
    defaults = Settings()
    assert float(of.one["TimeoutStopSec"]) > defaults.shutdown_seconds + CLEANING_SECONDS
    assert f"/var/lib/{of.one['StateDirectory']}" == settings_of_the_guide()["DATA_DIRECTORY"]
    assert shlex.split(of.one["ExecReload"]) == ["/bin/kill", "-HUP", "$MAINPID"]
    service = read(CHECKOUT / "compose.yaml")["services"]["api-1"]
    assert of.one["LimitNOFILE"] == str(service["ulimits"]["nofile"])
    named = {name.removesuffix("_FILE").lower() for name in of.environment("/run")}
    assert named == {"jwt_secrets", "database_password", "redis_password"}
    paths = set(of.environment("/run").values())
    assert paths == {f"/run/{name}" for name in of.credentials}
    made = re.findall(r"for name in (.*?); do", block("Secrets", "sh", "openssl"))[0].split()
    assert set(of.credentials.items()) == {(name, f"/etc/daveslist/{name}") for name in made}


def test_the_settings_of_the_guide_are_valid_on_each_machine(tmp_path: Path) -> None:
    for name in UNITS[0].credentials:
        (tmp_path / name).write_text(f"{JWT_SECRET}\n", encoding="utf-8")
    given = settings_of_the_guide()
    settings = Settings.from_environment({**given, **UNITS[0].environment(str(tmp_path))})
    assert settings.is_production
    assert (settings.api_host, settings.gateway_host) == (MACHINES[0], MACHINES[0])
    assert f"{ROLE}@{MACHINES[0]}" in settings.database_url
    assert settings.pictures_url.startswith("s3://")
    assert str(settings.trusted_proxies[0]) == f"{MACHINES[0]}/32"
    connections = given["API_WORKERS"], given["GATEWAY_WORKERS"]
    assert connections == ("2", "2")
    of_api, of_gateway = settings.database_pool_size + 8, settings.database_pool_size + 1
    assert f"4 x {of_gateway} for the gateways and 4 x {of_api} for the APIs" in " ".join(GUIDE.split())


@pytest.mark.parametrize("of", UNITS, ids=lambda each: each.name)
def test_a_unit_has_room_for_all_its_workers_and_goes_on_when_the_kernel_kills_one(of: Unit) -> None:
    service = read(CHECKOUT / "compose.yaml")["services"][f"{of.module}-1"]
    workers = int(settings_of_the_guide()[f"{of.module.upper()}_WORKERS"])
    # The limits of compose.yaml are for one worker.
    assert gibibytes(of.one["MemoryMax"]) >= workers * gibibytes(service["mem_limit"])
    assert int(of.one["TasksMax"]) >= workers * service["pids_limit"]
    # By default systemd would stop the others as well.
    assert of.one["OOMPolicy"] == "continue"
    # The folder is gone when its unit stops, so each unit needs its own.
    assert (of.one["RuntimeDirectory"], of.one["RuntimeDirectoryMode"]) == ("%N", "0700")


def test_the_guide_says_that_workers_do_not_outlive_their_parent_in_a_service() -> None:
    assert {of.one["KillMode"] for of in UNITS} == {"mixed"}
    # systemd then kills what is left when the first process has ended.
    operating = (CHECKOUT / "docs" / "operating.md").read_text(encoding="utf-8")
    bullet = operating.partition("\n- *The parent dies:*")[2].partition("\n- *")[0]
    assert "`KillMode=mixed`" in bullet
    assert "they are killed instead" in bullet


def gibibytes(size: str) -> int:
    """A size as systemd (`4G`) or Compose (`4g`) reads it."""
    number, unit_of_size = size[:-1], size[-1]
    assert unit_of_size.upper() == "G", size
    return int(number)


@pytest.mark.servers
def test_the_commands_for_nginx_write_the_addresses_of_both_machines(tmp_path: Path) -> None:
    nginx = tmp_path / "nginx"
    commands = block("nginx", "sh", "upstreams.conf").replace("/etc/daveslist-nginx", str(nginx))
    here = commands.replace("/srv/daveslist/deploy/nginx", str(CONFIGURATION))
    subprocess.run(["sh", "-e", "-c", here], check=True)
    servers = re.findall(r"^ +server (\S+)", (nginx / "upstreams.conf").read_text(), re.MULTILINE)
    assert set(servers) == {f"{machine}:{port}" for machine in MACHINES for port in PORTS.values()}
    [log] = re.findall(r"^ +access_log (.*);$", (nginx / "nginx.conf").read_text(), re.MULTILINE)
    # A service's standard output is a socket, which nginx cannot open by a name.
    assert log == "syslog:server=unix:/dev/log,tag=nginx,nohostname daveslist if=$is_logged"
    program = shlex.split(unit("daveslist-nginx").one["ExecStart"])
    assert program[1:5] == ["-p", "/var/lib/daveslist-nginx/", "-c", "/etc/daveslist-nginx/nginx.conf"]
    assert unit("daveslist-nginx").one["StateDirectory"] == "daveslist-nginx"


@pytest.mark.servers
def test_the_commands_for_redis_write_the_users_that_its_container_has(tmp_path: Path) -> None:
    (tmp_path / "redis_password").write_text("a password\n", encoding="utf-8")
    run_redis_block(tmp_path, tmp_path)
    server = tmp_path / "valkey-server"
    server.write_text("#!/bin/sh\n", encoding="utf-8")
    server.chmod(0o755)
    container = tmp_path / "container"
    container.mkdir()
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "REDIS_PASSWORD_FILE": str(tmp_path / "redis_password")}
    script = CHECKOUT / "deploy" / "redis" / "start.sh"
    subprocess.run(["sh", str(script)], cwd=container, env=variables, check=True)
    assert (tmp_path / "users.acl").read_text() == (container / "users.acl").read_text()
    settings = re.findall(r"^protected-mode no\n(?:.*\n)+?maxmemory-policy noeviction$", GUIDE, re.MULTILINE)
    assert len(settings) == 1


def run_redis_block(secrets: Path, folder: Path, before: str = "", user: int = os.geteuid()) -> None:
    """Run the commands that write the users of Redis, after others in one shell. `user` stands for valkey."""
    commands = block("Redis", "sh", "users.acl").replace("/srv/daveslist", str(CHECKOUT))
    here = commands.replace("/etc/daveslist", str(secrets)).replace("/etc/valkey", str(folder))
    assert here.count("-o valkey -g valkey ") == 1
    here = here.replace("-o valkey -g valkey ", f"-o {user} ")
    subprocess.run(["sh", "-e", "-c", f"{before}\n{here}"], check=True)


@pytest.mark.servers
def test_only_root_can_read_the_secrets_and_valkey_can_read_its_users(tmp_path: Path) -> None:
    """The blocks are run one after the other in one shell, as an operator runs them."""
    user = os.geteuid() or NOBODY
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    before = block("Secrets", "sh", "openssl").replace("/etc/daveslist", str(secrets))
    run_redis_block(secrets, tmp_path, before, user)
    assert {each.name: each.stat().st_mode & 0o777 for each in secrets.iterdir()} == dict.fromkeys(
        UNITS[0].credentials, 0o600
    )
    users = (tmp_path / "users.acl").stat()
    assert (users.st_uid, users.st_mode & 0o777) == (user, 0o640)


@pytest.mark.parametrize("guide", ["operating.md", "without-containers.md"])
def test_no_block_leaves_its_umask_to_the_next_ones(guide: str) -> None:
    """Otherwise nobody but root could read the files that later blocks make for others."""
    text = (CHECKOUT / "docs" / guide).read_text(encoding="utf-8")
    for found in re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
        outside = re.sub(r"^ *\(.*?\)$", "", found, flags=re.DOTALL | re.MULTILINE)
        assert "umask" not in outside, found


@pytest.mark.servers
def test_the_schema_needs_the_address_of_the_database_alone(servers: Servers) -> None:
    with servers.empty_database() as url:
        # There is no folder in which a secret could be kept.
        variables = {"DATABASE_URL": as_owner(url), "DATA_DIRECTORY": "/dev/null/none"}
        command = [sys.executable, "-m", "api", "schema"]
        done = subprocess.run(command, cwd=CHECKOUT, env=variables, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "schema applied\n"), done.stderr


@pytest.mark.servers
@pytest.mark.parametrize("name", ["daveslist-api", "daveslist-gateway", "daveslist-nginx"])
def test_systemd_knows_every_line_of_a_unit_and_finds_it_confined(name: str, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd on this machine")
    text = (FOLDER / f"{name}.service").read_text(encoding="utf-8")
    # systemd looks whether the program is there.
    here = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.MULTILINE)
    copy = tmp_path / f"{name}.service"
    copy.write_text(here, encoding="utf-8")
    verified = subprocess.run([program, "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    security = [program, "security", "--offline=true", f"--threshold={EXPOSED}", "--no-pager", str(copy)]
    found = subprocess.run(security, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.servers
def test_the_three_steps_to_another_secret_need_restarts_and_log_nobody_out(tmp_path: Path) -> None:
    for of in UNITS:
        # With this key, which systemd knows from version 258 on, a reload would be enough.
        assert "RefreshOnReload" not in (FOLDER / f"{of.name}.service").read_text(encoding="utf-8")
    log = tmp_path / "systemctl.log"
    stand_in = tmp_path / "systemctl"
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {log}\n', encoding="utf-8")
    stand_in.chmod(0o755)
    folder = tmp_path / "secrets"
    folder.mkdir()
    secrets = folder / "jwt_secrets"
    secrets.touch(0o600)
    secrets.write_text(f"{JWT_SECRET}\n", encoding="utf-8")
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def run(words: str) -> tuple[str, ...]:
        """Run a block; what the processes then read as `JWT_SECRETS`."""
        commands = block("Change a secret", "sh", words).replace("/etc/daveslist", str(folder))
        subprocess.run(["sh", "-e", "-c", commands], env=variables, check=True)
        assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o600}
        return Settings.from_environment({"JWT_SECRETS_FILE": str(secrets)}).jwt_secrets

    assert run("openssl") == (JWT_SECRET,)
    new = (folder / "jwt_secrets_new").read_text(encoding="utf-8").strip()
    assert len(new) >= 32
    assert not log.exists()
    both = ('"$(cat jwt_secrets_old)" "$(cat', '"$(cat jwt_secrets_new)" "$(cat')
    steps = [run(words) for words in (*both, "cat jwt_secrets_new >")]
    assert steps == [(JWT_SECRET, new), (new, JWT_SECRET), (new,)]
    assert log.read_text(encoding="utf-8") == "restart daveslist-api daveslist-gateway\n" * 3
    assert list(folder.iterdir()) == [secrets]


def test_both_guides_say_that_a_reload_does_not_read_changed_secrets() -> None:
    section = " ".join(GUIDE.partition("\n## Change a secret\n")[2].partition("\n## ")[0].split())
    assert "after `systemctl restart`, and not after `systemctl reload`" in section
    operating = (CHECKOUT / "docs" / "operating.md").read_text(encoding="utf-8")
    replaced = operating.partition("\n## Replace the secret that signs tokens\n")[2].partition("\n## ")[0]
    bullet = operating.partition("\n- *SIGHUP* to the parent")[2].partition("\n- *")[0]
    for text in (replaced, bullet):
        assert "](without-containers.md#change-a-secret)" in text
        assert "`systemctl restart`" in text


class Ready:
    """Stands for the processes of a machine: `/health/ready` says 503 as often as it is told, and then 200."""

    def __init__(self) -> None:
        self.refusals = 0
        self.asked: list[str] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.path)
        self.refusals -= 1
        return web.Response(status=503 if self.refusals >= 0 else 200)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Listen on a port. Yields it."""
        server = web.Server(self.answer)
        runner = web.ServerRunner(server)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield port
        finally:
            await runner.cleanup()


async def run_here(commands: str, folder: Path) -> int:
    """Run commands with a `systemctl` that does nothing. Returns the exit status."""
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    stand_in = folder / "systemctl"
    stand_in.write_text("#!/bin/sh\n", encoding="utf-8")
    stand_in.chmod(0o755)
    variables = {"PATH": f"{folder}:{os.environ['PATH']}"}
    process = await asyncio.create_subprocess_exec(
        *("sh", "-e", "-c", commands),
        env=variables,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


def test_every_look_at_a_process_waits_for_it_and_fails_if_it_does_not_come() -> None:
    looks = re.findall(r"^curl .*$", GUIDE, re.MULTILINE)
    assert len(looks) == 4
    assert all(look.startswith(f"{LOOK} ") for look in looks)


@pytest.mark.servers
async def test_the_start_asks_the_processes_of_its_own_machine_until_they_are_ready(tmp_path: Path) -> None:
    commands = block("Start", "sh", "curl")
    assert commands.startswith(f"own={MACHINES[0]}\n")
    own = "127.0.0.1"
    machine = Ready()
    async with machine.listening() as port:
        here = commands.replace(f"own={MACHINES[0]}", f"own={own}")
        for there in PORTS.values():
            here = here.replace(f":{there}/", f":{port}/")
        # Nothing is left that would ask the first machine.
        assert MACHINES[0] not in here
        machine.refusals = 1
        assert await run_here(here, tmp_path) == 0
        assert machine.asked == ["/health/ready"] * 3
        machine.refusals = 9
        assert await run_here(here.replace("--retry 30", "--retry 1"), tmp_path) != 0


@pytest.mark.servers
@pytest.mark.parametrize("with_tls", [False, True])
async def test_the_look_through_nginx_fails_if_no_api_is_ready_also_with_https(with_tls: bool, tmp_path: Path) -> None:
    program = find_nginx()
    if program is None:
        pytest.skip("no nginx on this machine")
    look = block("nginx", "sh", "https://" if with_tls else "http://").splitlines()[-1]
    api = Ready()
    async with api.listening() as port:
        ports = dict.fromkeys([f"{kind}-{number}:{PORTS[kind]}" for kind in PORTS for number in (1, 2)], port)
        async with running_nginx(program, ports, with_tls=with_tls) as nginx:
            # The certificate of the tests is that of 127.0.0.1.
            here = look.replace(":8080/", f":{nginx.port}/").replace("cars.example.com/", f"127.0.0.1:{nginx.port}/")
            if with_tls:
                here += f" --cacert {nginx.directory / 'certificate.pem'}"
            assert await run_here(here, tmp_path) == 0
            api.refusals = 9
            assert await run_here(here.replace("--retry 30", "--retry 1"), tmp_path) == 22
            assert set(api.asked) == {"/health/ready"}


@pytest.mark.servers
async def test_people_chat_over_two_machines_while_one_is_reloaded_and_stopped(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    program = find_nginx()
    if program is None:
        pytest.skip("no nginx on this machine")
    folder = tmp_path / "credentials"
    folder.mkdir()
    for name in UNITS[0].credentials:
        (folder / name).write_text(f"{JWT_SECRET}\n", encoding="utf-8")
    settings = Settings(database_url=database_url, redis_url=redis_url, jwt_secrets=(JWT_SECRET,))
    processes = Processes(settings, tmp_path)

    async def start(machine: int, of: Unit) -> Node:
        port = free_port()
        here = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "API_HOST": "127.0.0.1",
            "GATEWAY_HOST": "127.0.0.1",
            "TRUSTED_PROXIES": "127.0.0.1/32",
            f"{of.module.upper()}_PORT": str(port),
            "DATA_DIRECTORY": str(tmp_path / f"machine-{machine}"),
            "PICTURES_URL": (tmp_path / "pictures").as_uri(),
            # The processes wait for nobody here, so that the test is short.
            "DRAIN_SECONDS": "0.5",
        }
        given = {**settings_of_the_guide(), **of.environment(str(folder)), **here}
        return await processes.start(of.module, port=port, environment=given, ready="/health/ready", has_settings=False)

    try:
        started = await asyncio.gather(*(start(machine, of) for machine in (1, 2) for of in UNITS))
        api, gateway, _, second = started
        names = [f"{of.module}-{machine}:{PORTS[of.module]}" for machine in (1, 2) for of in UNITS]
        ports = {name: node.port for name, node in zip(names, started, strict=True)}
        for node in started:
            await all_up(node)
        async with running_nginx(program, ports) as nginx:
            url = f"ws://127.0.0.1:{nginx.port}/socket/websocket"
            async with Load(replace(settings, environment="production"), [url], users=12, rate=40) as load:
                await load.more_acknowledged(50)
                before = {number: pids[-1] for number, pids in begun(second).items()}
                # `systemctl reload`, and then `systemctl stop`, on the second machine.
                second.signal(signal.SIGHUP)

                def is_replaced() -> bool:
                    now = {number: pids[-1] for number, pids in begun(second).items()}
                    return set(now) == {1, 2} and not set(now.values()) & set(before.values())

                assert await happens(is_replaced, SOON), second.output()
                await load.more_acknowledged(50)
                second.signal(signal.SIGTERM)
                assert await second.ended(float(UNITS[1].one["TimeoutStopSec"])) == 0
                await load.until_all_joined()
                await load.more_acknowledged(50)
                reckoning = await load.reckon()
        assert reckoning.stored >= reckoning.acknowledged
        assert reckoning.received == 2 * reckoning.stored
        assert {api.exit_code, gateway.exit_code} == {None}
    finally:
        await processes.stop()
