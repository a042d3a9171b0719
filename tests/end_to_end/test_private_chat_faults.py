"""The client recipe survives faults of servers, networks and applications, with each of six phoenix.js versions.

Each version plays all cases of js/private_chat_faults.js in one process, and all processes run at the same time. So the
cases allow for a busy machine.
"""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.domain.messages import MAX_CLIENT_REF_LENGTH, MAX_TEXT_LENGTH
from tests.end_to_end.conftest import Daveslist
from tests.support.node import find_node

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

SCRIPT = Path(__file__).parent / "js" / "private_chat_faults.js"
RECIPE = Path(__file__).parents[2] / "clients" / "javascript" / "private_chat" / "sendable.js"
VERSIONS = ("phoenix-1.6", "phoenix-1.7", "phoenix-1.8.0", "phoenix-1.8.5", "phoenix-1.8.8", "phoenix")
PACE_SECONDS = 13
PATIENCE_SECONDS = 240.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(daveslist: Daveslist) -> AsyncIterator[dict[str, dict[str, str]]]:
    """The cases' results by version: an error, or an empty text for a case that passed."""
    found = find_node()
    assert found is not None, "no Node 18 or newer: `make test` brings one"
    narrow = await daveslist.processes.gateway(MAX_MESSAGE_BYTES="2048")
    processes = []
    for version in VERSIONS:
        people = [await daveslist.rest.register(name) for name in ("Ann", "Bob")]
        given = {
            "phoenix": version,
            "paceSeconds": PACE_SECONDS,
            "api": daveslist.api.url,
            "gateway": daveslist.gateways[0].socket_url.removesuffix("/websocket"),
            "narrow": narrow.socket_url.removesuffix("/websocket"),
            "people": [{"id": str(person.id), "token": person.token} for person in people],
        }
        processes.append(
            await asyncio.create_subprocess_exec(
                found.node, SCRIPT, json.dumps(given), stdout=PIPE, stderr=PIPE, limit=2**20
            )
        )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            ended = await asyncio.gather(*(process.communicate() for process in processes))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    results = {}
    for version, (output, errors) in zip(VERSIONS, ended, strict=True):
        assert output, errors.decode()
        results[version] = json.loads(output)
    yield results


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_recipe_survives_every_fault_with_each_version_of_phoenix_js(
    played: dict[str, dict[str, str]], version: str
) -> None:
    cases = played[version]
    assert len(cases) > 40
    assert {case: fault for case, fault in cases.items() if fault} == {}


async def test_the_recipe_has_the_limits_of_the_server() -> None:
    text = RECIPE.read_text(encoding="utf-8")
    assert f"MAX_TEXT_LENGTH = {MAX_TEXT_LENGTH:_}" in text
    assert f"MAX_CLIENT_REF_LENGTH = {MAX_CLIENT_REF_LENGTH}" in text
