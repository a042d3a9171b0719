"""Stopping and starting, the backup, and the logs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from tests.try_deployment import guide
from tests.try_deployment.stack import SECRETS
from tests.try_deployment.steps.census import same_as
from tests.try_deployment.walk import Walk

GOOD_CHECK = re.compile(r'"path": ?"/health/[a-z]+".*"status": ?"?200')
TRIED = """
import psycopg2, sys
from shared.start import settings_to_start_with
connection = psycopg2.connect(settings_to_start_with().database_url)
connection.autocommit = True
cursor = connection.cursor()
cursor.execute("SELECT current_user")
print(*cursor.fetchone())
for statement in sys.argv[1:]:
    try:
        cursor.execute(statement)
    except psycopg2.Error as error:
        print(type(error).__name__)
    else:
        print("done")
"""
FORBIDDEN = (
    "CREATE TABLE mine (number integer)",
    "CREATE TEMPORARY TABLE mine (number integer)",
    "ALTER TABLE audit DISABLE TRIGGER ALL",
    "DROP TABLE reports",
    "DELETE FROM audit",
    "TRUNCATE users CASCADE",
    "COPY users TO PROGRAM 'true'",
    "SELECT rolpassword FROM pg_authid",
    "CREATE ROLE mine",
    "SET ROLE daveslist",
)
ROUTES = """
import socket
families = {"IPv4": (socket.AF_INET, "192.0.2.1"), "IPv6": (socket.AF_INET6, "2001:db8::1")}
for name, (family, address) in families.items():
    with socket.socket(family) as probe:
        probe.settimeout(5)
        try:
            probe.connect((address, 443))
        except OSError as error:
            print(name, error.strerror or type(error).__name__)
        else:
            print(name, "connected")
"""
UNCOMPILED = """
import importlib, os, sys
importlib.import_module(f"{sys.argv[1]}.server")
for name, module in sorted(sys.modules.items()):
    compiled = getattr(module, "__cached__", None)
    if compiled and not os.path.exists(compiled):
        print(name)
"""
NO_WAY = ("Network is unreachable", "Cannot assign requested address", "Address family not supported by protocol")


def database_role_has_few_rights(walk: Walk) -> str:
    """Checks the role with which the processes log in to Postgres."""
    name, *outcomes = _in_process(walk, "api-1", TRIED, *FORBIDDEN)
    allowed = [each for each in zip(FORBIDDEN, outcomes, strict=True) if each[1] != "InsufficientPrivilege"]
    assert not allowed, f"{name}: {allowed}"
    return f"{name} is refused each of {len(FORBIDDEN)} statements that change more than rows"


def nothing_is_compiled_at_a_start(walk: Walk) -> str:
    """Checks that the image has every module compiled: a process may not write, and would do it at each start."""
    for service, package in (("api-1", "api"), ("gateway-1", "gateway")):
        left = _in_process(walk, service, UNCOMPILED, package)
        assert not left, f"{service} compiles {len(left)} modules at each start: {' '.join(left)}"
    return "every module that the processes import is compiled"


def processes_have_no_way_out(walk: Walk) -> str:
    """Checks that a process has no route to any address outside of the deployment."""
    names = ("api-1", "api-2", "gateway-1", "gateway-2")
    ways = routes_out(walk, names)
    assert not ways, f"{ways}"
    return f"no route out of {len(names)} processes"


def routes_out(walk: Walk, services: tuple[str, ...]) -> dict[str, list[str]]:
    """What the services find that have a route to another machine; no service is the best answer."""
    found = {name: _in_process(walk, name, ROUTES) for name in services}
    return {name: lines for name, lines in found.items() if not all(line.endswith(NO_WAY) for line in lines)}


def secrets_are_only_in_files(walk: Walk) -> str:
    """Checks that what the engine tells about its containers has no secret."""
    values = walk.stack.secrets()
    containers = walk.stack.containers()
    for name, container in containers.items():
        told = json.dumps(container)
        assert not [secret for secret, value in values.items() if value in told], f"{name} shows a secret"
    return f"none of {len(values)} in what the engine tells about {len(containers)} containers"


def _in_process(walk: Walk, service: str, script: str, *arguments: str) -> list[str]:
    """The lines that a script prints in the container of a process."""
    done = walk.stack.engine.run("compose", "exec", "--no-TTY", service, "python", "-c", script, *arguments)
    return done.output.splitlines()


def backup_is_put_in_the_place_of_what_is_there(walk: Walk) -> str:
    """After the restore, the database and the pictures are as they were at the time of the backup."""
    stack = walk.stack
    before = walk.visitors.do("census", pictures=walk.pictures)
    started = time.monotonic()
    stack.engine.shell(guide.block(guide.SAVE))
    saved = time.monotonic() - started
    # Messages that are not in the backup.
    walk.visitors.do("chat")
    assert walk.visitors.do("census", pictures=walk.pictures)["tables"] != before["tables"]
    started = time.monotonic()
    _, at, rest = guide.block(guide.RESTORE).partition(guide.line(guide.RESTORE))
    stack.engine.shell(guide.block(guide.EMPTY) + at + rest)
    restored = time.monotonic() - started
    return f"saved in {saved:.1f} s, restored in {restored:.1f} s; {same_as(walk, before)}"


def backup_is_restored_from_nothing(walk: Walk) -> str:
    """In a deployment without volumes, the restore brings everything back."""
    stack = walk.stack
    before = walk.visitors.do("census", pictures=walk.pictures)
    kept = walk.visitors.do("hand_over")
    _note_secrets(walk)
    walk.visitors_leave()
    stack.keep_log()
    stack.down()
    started = time.monotonic()
    stack.engine.shell(guide.block(guide.RESTORE))
    restored = time.monotonic() - started
    stack.until_healthy()
    stack.follow()
    walk.visitors_come()
    walk.visitors.do("remember", people=kept)
    return f"restored in {restored:.1f} s; {same_as(walk, before)}"


def stops_and_starts_in_order(walk: Walk) -> str:
    """nginx stops first and the servers last, each with exit code 0; they start in the opposite order."""
    stack = walk.stack
    _note_secrets(walk)
    walk.visitors_leave()
    stack.keep_log()
    started = time.monotonic()
    stack.engine.run("compose", "stop")
    stopped = time.monotonic() - started
    containers = stack.containers()
    codes = {name: each["State"]["ExitCode"] for name, each in containers.items()}
    assert set(codes.values()) == {0}, f"exit codes {codes}"
    assert_order(stack.running(), "FinishedAt", lambda name: -rank(name))
    started = time.monotonic()
    stack.engine.shell(guide.line(guide.UP))
    back = time.monotonic() - started
    assert_order(stack.running(), "StartedAt", rank)
    stack.follow()
    walk.visitors_come()
    return f"{len(codes)} containers stopped in {stopped:.1f} s, all with exit code 0; healthy again after {back:.1f} s"


def rank(service: str) -> int:
    """The place of a service in the order of starting."""
    if service.startswith("sentinel"):
        return 1
    return {"postgres": 0, "redis": 0, "redis-2": 0, "nginx": 3}.get(service, 2)


def assert_order(containers: dict[str, dict[str, Any]], moment: str, rank: Callable[[str], int]) -> None:
    # The Z is removed, because otherwise a time with more digits would be sorted before an earlier one.
    names = sorted(containers, key=lambda name: str(containers[name]["State"][moment]).rstrip("Z"))
    ranks = [rank(name) for name in names]
    assert ranks == sorted(ranks), f"{moment}: {names}"


def logs_are_bounded(walk: Walk) -> str:
    """The engine bounds the log of each container."""
    found: dict[str, int] = {}
    for name, container in walk.stack.containers().items():
        log = container["HostConfig"]["LogConfig"]
        kind = bound_of(log)
        assert kind is not None, f"{name}: {log}"
        found[kind] = found.get(kind, 0) + 1
    return ", ".join(f"{count} by {kind}" for kind, count in found.items())


def bound_of(log: dict[str, Any]) -> str | None:
    """The driver that limits a container's log; None if it has no limit. The driver `local` has a limit by default."""
    if log["Type"] == "local" or "max-size" in (log["Config"] or {}):
        return str(log["Type"])
    return None


def logs_have_no_secret(walk: Walk) -> str:
    """The logs contain neither secrets nor health checks, but they contain the lines that they should."""
    stack = walk.stack
    _note_secrets(walk)
    walk.visitors.do("fail_in_the_database")
    stack.keep_log()
    lines = stack.log()
    assert any("division by zero" in line for line in lines), "Postgres does not say that a statement failed"
    for service in stack.running():
        assert any(line.startswith(f"{service}-1 ") for line in lines), f"nothing of {service} is in the log"
    assert sum('"path":"/socket/websocket"' in line for line in lines) > 100, "the sockets are not in nginx's log"
    secrets = {name: [value] for name, value in stack.secrets().items()}
    noted = walk.logged_secrets
    secrets |= {"a token": noted["tokens"], "a password": [noted["password"]], "a message": [noted["words"]]}
    assert set(SECRETS) <= set(secrets)
    assert len(noted["tokens"]) > 100
    for what, values in secrets.items():
        for value in values:
            found = [line for line in lines if value in line]
            assert not found, f"{what} is in {len(found)} lines, as in: {found[0].replace(value, '...')[:300]}"
    checks = [line for line in lines if GOOD_CHECK.search(line)]
    assert not checks, f"{len(checks)} of {len(lines)} lines are health checks, as: {checks[0][:200]}"
    return f"{len(lines):,} lines: none has a secret, one of {len(noted['tokens'])} tokens, a message or a health check"


def _note_secrets(walk: Walk) -> None:
    """Keep the secrets that the visitors know, because the visitors' container is removed before the logs are read."""
    found = walk.visitors.do("secrets")
    earlier = walk.logged_secrets.get("tokens", [])
    walk.logged_secrets = {**found, "tokens": sorted({*earlier, *found["tokens"]})}
