"""The log has only the changes between health checks."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from shared.embedded.redis import EmbeddedRedis
from shared.settings import Settings
from tests.support.processes import Node, Processes

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("kind", ["api", "gateway"])
async def test_the_log_says_when_a_process_is_not_ready_and_when_it_is_again(
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


async def test_at_the_level_of_debugging_each_check_is_there(settings: Settings, tmp_path: Path) -> None:
    processes = Processes(settings, tmp_path)
    try:
        node = await processes.api(LOG_LEVEL="DEBUG")
        assert any(line.get("path") == "/health/ready" for line in _lines(node))
    finally:
        await processes.stop()


async def _until(client: aiohttp.ClientSession, status: int) -> None:
    async with asyncio.timeout(30):
        while True:
            async with client.get("/health/ready") as response:
                if response.status == status:
                    return
            await asyncio.sleep(0.05)


def _lines(node: Node) -> list[dict[str, Any]]:
    return [json.loads(line) for line in node.output().splitlines() if line.startswith("{")]
