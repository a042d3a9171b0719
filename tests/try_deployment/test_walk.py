"""Tests how the walk reports its steps, and how it judges their figures."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from development.child import happens
from tests.support.ports import free_port
from tests.try_deployment.__main__ import NEEDED, STEPS
from tests.try_deployment.engine import Engine
from tests.try_deployment.stack import Stack
from tests.try_deployment.steps.ending import GOOD_CHECK, assert_order, bound_of, rank
from tests.try_deployment.steps.faults import reckoning
from tests.try_deployment.visitors.watching import Watch
from tests.try_deployment.walk import Report, Step, Walk, in_time

COUNTS = {"sent": 9, "acknowledged": 9, "stored": 9, "received": 18, "missing": 0, "longest_away": 0.25}


@pytest.fixture
def walk(tmp_path: Path) -> Walk:
    return Walk(Stack(Engine("docker", tmp_path, {}), "nobody"))


def taken(walk: Walk, *steps: Step, left: int = 0) -> tuple[list[str], str]:
    lines: list[str] = []
    report = Report(lines.append)
    for number, step in enumerate(steps):
        report.take(f"step {number}", step, walk)
    return lines, report.summary(left)


def fails(_: Walk) -> str:
    raise AssertionError("seen\n  otherwise")


def test_each_step_is_reported_in_a_line_and_the_walk_in_another(walk: Walk) -> None:
    lines, summary = taken(walk, lambda _: "two  found", lambda _: "more")
    assert [line.split(" s  ")[1] for line in lines] == ["step 0: two found", "step 1: more"]
    assert all(line.startswith("held ") for line in lines)
    assert summary.startswith("all 2 steps held, in 0 min ")


def test_a_failed_step_is_named_at_the_end(walk: Walk) -> None:
    lines, summary = taken(walk, fails, lambda _: "more", left=3)
    assert lines[0].startswith("FAILED ")
    assert lines[0].endswith("step 0: seen otherwise")
    assert summary.startswith("1 steps held, 1 failed (step 0), 3 not taken, in ")


def test_a_step_that_takes_too_long_is_repeated_once_and_reported_as_repeated(walk: Walk) -> None:
    times = iter([2.5, 1.0, 2.5, 2.5])

    def step(_: Walk) -> str:
        seconds = next(times)
        in_time(seconds, 2.0, "nothing missing")
        return f"{seconds:.1f} s"

    lines, summary = taken(walk, step, step)
    assert lines[0].endswith("step 0: 1.0 s (at first 2.5 s, where 2 s is the goal: nothing missing)")
    assert lines[1].startswith("FAILED ")
    assert "1 failed (step 1)" in summary


def test_an_error_of_the_walk_itself_is_raised(walk: Walk) -> None:
    def broken(_: Walk) -> str:
        raise KeyError("name")

    with pytest.raises(KeyError):
        taken(walk, broken)


def test_the_steps_that_later_steps_need_exist() -> None:
    names = [name for name, _ in STEPS]
    assert len(names) == len(set(names))
    assert set(names) >= NEEDED


def test_a_missing_message_fails_a_step() -> None:
    assert reckoning(COUNTS).endswith("missing 0, longest without a socket 0.2 s")
    with pytest.raises(AssertionError, match="stored 8, received 16, missing 1"):
        reckoning({**COUNTS, "stored": 8, "received": 16, "missing": 1})


def containers(*names: str) -> dict[str, Any]:
    """The containers, started in this order."""
    return {name: {"State": {"StartedAt": f"2026-11-26T00:00:0{second}Z"}} for second, name in enumerate(names)}


def test_a_wrong_order_of_containers_raises() -> None:
    assert_order(containers("redis", "postgres", "api-1", "gateway-1", "nginx"), "StartedAt", rank)
    with pytest.raises(AssertionError, match="StartedAt"):
        assert_order(containers("redis", "nginx", "postgres", "api-1"), "StartedAt", rank)


@pytest.mark.parametrize(
    ("log", "bound"),
    [
        ({"Type": "local", "Config": {}}, "local"),
        ({"Type": "json-file", "Config": {"max-size": "10m"}}, "json-file"),
        ({"Type": "json-file", "Config": {}}, None),
        ({"Type": "json-file", "Config": None}, None),
        ({"Type": "journald", "Config": {}}, None),
    ],
)
def test_a_log_without_a_limit_is_found(log: dict[str, Any], bound: str | None) -> None:
    assert bound_of(log) == bound


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ('{"logger": "api.middlewares.requests", "path": "/health/ready", "status": 200, "ms": 0.3}', True),
        ('{"client":"127.0.0.1","method":"GET","path":"/health/ready","status":"200"}', True),
        ('{"client":"127.0.0.1","method":"GET","path":"/health/ready","status":"503"}', False),
        ('{"logger": "api.middlewares.requests", "method": "GET", "path": "/api/listings", "status": 200}', False),
    ],
)
def test_a_successful_health_check_is_recognized_in_a_log(line: str, is_one: bool) -> None:
    assert bool(GOOD_CHECK.search(line)) is is_one


async def test_the_longest_time_without_an_answer_is_measured() -> None:
    """The time without a server is measured, and its answers are counted."""
    port = free_port()

    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    async def serve() -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner

    runner = await serve()
    watch = Watch(f"http://127.0.0.1:{port}/")
    assert await happens(lambda: watch.answers["200"] > 2, 10)
    await runner.cleanup()
    assert await happens(lambda: watch.answers["none"] > 2, 10)
    away = asyncio.get_running_loop().time()
    await asyncio.sleep(0.3)  # The test measures this pause.
    runner = await serve()
    back, before = asyncio.get_running_loop().time(), watch.answers["200"]
    assert await happens(lambda: watch.answers["200"] > before, 10)
    await runner.cleanup()
    found = await watch.end()
    assert set(found["answers"]) == {"200", "none"}
    assert found["longest"] >= back - away
