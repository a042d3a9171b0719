"""The client recipe survives faults of servers, networks and applications, with each of six phoenix.js versions.

Each version plays all cases of js/private_chat_faults.js in one process, and all processes run at the same time. So the
cases allow for a busy machine.
"""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from shared.domain.messages import MAX_CLIENT_REF_LENGTH, MAX_TEXT_LENGTH
from shared.settings import Settings
from tests.support.client import Rest
from tests.support.node import find_node
from tests.support.once import once
from tests.support.processes import Processes
from tests.support.servers import run

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SCRIPT = Path(__file__).parent / "js" / "private_chat_faults.js"
RECIPE = Path(__file__).parents[2] / "clients" / "javascript" / "private_chat" / "sendable.js"
VERSIONS = ("phoenix-1.6", "phoenix-1.7", "phoenix-1.8.0", "phoenix-1.8.5", "phoenix-1.8.8", "phoenix")
PACE_SECONDS = 13
PATIENCE_SECONDS = 240.0

Played = dict[str, dict[str, str]]
"""The cases' results by version: an error, or an empty text for a case that passed."""


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """All versions are played once in a run, whichever workers get the tests."""

    def play_all() -> Played:
        settings: Settings = request.getfixturevalue("deployment")
        return run(_play(settings, tmp_path_factory.mktemp("played")))

    results: Played = once(tmp_path_factory, "private_chat_faults", play_all)
    return results


async def _play(settings: Settings, directory: Path) -> Played:
    found = find_node()
    assert found is not None, "no Node 18 or newer: `make test` brings one"
    servers = Processes(settings, directory)
    processes = []
    try:
        api, gateway = await servers.api(), await servers.gateway()
        narrow = await servers.gateway(MAX_MESSAGE_BYTES="2048")
        async with Rest(api.url) as rest:
            for version in VERSIONS:
                people = [await rest.register(name) for name in ("Ann", "Bob")]
                given = {
                    "phoenix": version,
                    "paceSeconds": PACE_SECONDS,
                    "api": api.url,
                    "gateway": gateway.socket_url.removesuffix("/websocket"),
                    "narrow": narrow.socket_url.removesuffix("/websocket"),
                    "people": [{"id": str(person.id), "token": person.token} for person in people],
                }
                processes.append(
                    await asyncio.create_subprocess_exec(
                        found.node, SCRIPT, json.dumps(given), stdout=PIPE, stderr=PIPE, limit=2**20
                    )
                )
            async with asyncio.timeout(PATIENCE_SECONDS):
                ended = await asyncio.gather(*(process.communicate() for process in processes))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await servers.stop()
    results = {}
    for version, (output, errors) in zip(VERSIONS, ended, strict=True):
        assert output, errors.decode()
        results[version] = json.loads(output)
    return results


@pytest.mark.parametrize("version", VERSIONS)
def test_the_recipe_survives_every_fault_with_each_version_of_phoenix_js(played: Played, version: str) -> None:
    cases = played[version]
    # 80 cases, and the one that says whether an error was thrown outside of them.
    assert len(cases) == 81
    assert {case: fault for case, fault in cases.items() if fault} == {}


def test_the_recipe_has_the_limits_of_the_server() -> None:
    text = RECIPE.read_text(encoding="utf-8")
    assert f"MAX_TEXT_LENGTH = {MAX_TEXT_LENGTH:_}" in text
    assert f"MAX_CLIENT_REF_LENGTH = {MAX_CLIENT_REF_LENGTH}" in text
