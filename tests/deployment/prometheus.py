"""Runs Prometheus with the deployment's own configuration; the tests change only its targets and how often it reads."""

from __future__ import annotations

import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from development import child
from tests.support.ports import free_port
from tests.support.scratch import scratch_directory
from tests.support.waiting import eventually

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "prometheus"
READ_EVERY = "500ms"
START_SECONDS = 100.0


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`. Skips the test where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip("no Prometheus on this machine")
    return found


class Prometheus:
    """A running Prometheus."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url

    async def ask(self, path: str, **query: str) -> Any:
        """The data of an answer of its HTTP API."""
        async with self._client.get(f"{self._url}/api/v1/{path}", params=query) as response:
            answer = await response.json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def is_ready(self) -> bool:
        try:
            async with self._client.get(f"{self._url}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def running_prometheus(targets: Mapping[str, list[int]]) -> AsyncIterator[Prometheus]:
    """Run Prometheus. `targets` are the ports of each job of prometheus.yml."""
    server = program("prometheus")
    with scratch_directory() as directory:
        shutil.copytree(CONFIGURATION, directory / "settings")
        file = directory / "settings" / "prometheus.yml"
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
        settings["global"] = {"scrape_interval": READ_EVERY, "evaluation_interval": READ_EVERY}
        for job in settings["scrape_configs"]:
            ports = targets[job["job_name"]]
            job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        port = free_port()
        with (directory / "output").open("ab") as output:
            command = [
                *(server, f"--config.file={file}", f"--storage.tsdb.path={directory / 'data'}"),
                *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
            ]
            process = child.spawn(command, death_signal=signal.SIGTERM, output=output)
        try:
            async with aiohttp.ClientSession() as client:
                prometheus = Prometheus(client, f"http://127.0.0.1:{port}")
                assert await eventually(prometheus.is_ready, START_SECONDS), (directory / "output").read_text(
                    encoding="utf-8"
                )
                yield prometheus
        finally:
            await child.stop(process, (signal.SIGTERM, 10.0))
