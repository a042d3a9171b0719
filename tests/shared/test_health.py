"""A process is ready while it reaches Postgres and Redis and is not stopping; the log shows only changes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from development.redis import EmbeddedRedis
from shared.health import Health
from shared.postgres import Database
from shared.settings import Settings
from shared.version import VERSION
from tests.support.broker import SwitchedBroker
from tests.support.processes import Node, Processes
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.servers

OK = {"status": "ok", "version": VERSION}


@pytest.mark.parametrize("kind", ["api", "gateway"])
async def test_the_log_says_when_a_process_becomes_unready_and_ready_again(
    kind: str, settings: Settings, tmp_path: Path
) -> None:
    redis = EmbeddedRedis(tmp_path / "redis")
    processes = Processes(replace(settings, redis_url=await redis.start()), tmp_path)
    try:
        node = await (processes.api() if kind == "api" else processes.gateway())
        async with aiohttp.ClientSession(node.url) as client:
            await redis.stop()
            await _until(client, 503)
            await _until(client, 503)
            await redis.start()
            await _until(client, 200)
            await _until(client, 200)
            for path in ("/health/live", "/metrics"):
                async with client.get(path) as response:
                    assert response.status == 200
    finally:
        await processes.stop()
        await redis.stop()
    said = [line for line in _lines(node) if line["event"] in ("not ready", "ready again")]
    assert [(line["level"], line["event"], line.get("reasons")) for line in said] == [
        ("warning", "not ready", {"redis": "not connected"}),
        ("info", "ready again", None),
    ]
    assert not any("/health" in json.dumps(line) or "/metrics" in json.dumps(line) for line in _lines(node))


async def test_the_answer_has_each_reason_and_each_change_is_logged_once(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "shared.health")
    database, broker, is_stopping = Database(Settings(database_url=database_url)), SwitchedBroker(), False
    health = Health(database, broker, lambda: is_stopping)
    try:
        assert await _answer(health.ready) == (200, OK)
        broker.is_up = False
        for _ in range(2):
            assert await _answer(health.ready) == (503, unavailable(redis="not connected"))
        is_stopping = True
        assert await _answer(health.ready) == (503, unavailable(redis="not connected", process="stopping"))
        broker.is_up = True
        assert await _answer(health.ready) == (503, unavailable(process="stopping"))
        is_stopping = False
        assert await _answer(health.ready) == (200, OK)
        assert await _answer(health.live) == (200, OK)
    finally:
        await database.close()
    assert [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "shared.health"] == [
        ("WARNING", "not ready"),
        ("WARNING", "not ready"),
        ("INFO", "not ready"),
        ("INFO", "ready again"),
    ]


async def test_the_log_tells_where_the_database_is_and_the_answer_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(Settings(database_url=f"postgresql:///d?host={tmp_path}/nowhere"))
    try:
        answer = await _answer(Health(database, SwitchedBroker(), lambda: False).ready)
    finally:
        await database.close()
    assert answer == (503, unavailable(postgres="unavailable"))
    [record] = [record for record in caplog.records if record.name == "shared.health"]
    assert str(tmp_path) in record.fields["reasons"]["postgres"]  # type: ignore[attr-defined]


def unavailable(**reasons: str) -> dict[str, Any]:
    return {"status": "unavailable", "version": VERSION, "reasons": reasons}


async def _answer(handler: Callable[[web.Request], Awaitable[web.Response]]) -> tuple[int, Any]:
    response = await handler(make_mocked_request("GET", "/health/ready"))
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


async def test_each_health_check_is_logged_at_the_level_debug(settings: Settings, tmp_path: Path) -> None:
    processes = Processes(settings, tmp_path)
    try:
        node = await processes.api(LOG_LEVEL="DEBUG")
        assert any(line.get("path") == "/health/ready" for line in _lines(node))
    finally:
        await processes.stop()


async def _until(client: aiohttp.ClientSession, status: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with client.get("/health/ready") as response:
                if response.status == status:
                    return
            await asyncio.sleep(0.05)


def _lines(node: Node) -> list[dict[str, Any]]:
    return [json.loads(line) for line in node.output().splitlines() if line.startswith("{")]
