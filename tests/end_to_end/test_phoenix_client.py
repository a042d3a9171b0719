"""The npm package `phoenix` against two gateway nodes that share a Redis; each scenario in js/ is a test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.settings import Settings
from tests.lab.__main__ import DEFAULT_SECRET
from tests.lab.tokens import token_of
from tests.support.node import find_node
from tests.support.processes import Node, Processes
from tests.support.servers import Servers

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="module")]

SCRIPT = Path(__file__).parent / "js" / "scenarios.js"
PATIENCE_SECONDS = 60.0
USERS = (1, 2, 3)

SCENARIOS = [
    "join_push_and_receive",
    "the_response_to_a_join_is_received",
    "refused_joins_say_why",
    "a_push_without_an_answer_times_out",
    "a_slow_join_times_out_and_does_not_delay_other_topics",
    "after_a_leave_the_topic_can_be_joined_again",
    "a_second_channel_of_one_topic_takes_over",
    "a_channel_that_crashed_is_joined_again",
    "a_channel_that_stopped_is_not_joined_again",
    "binary_payloads_are_sent_and_received",
    "presence_of_three_clients_on_two_nodes_is_in_sync",
    "an_auth_token_is_sent_as_a_subprotocol",
    "a_socket_with_a_bad_token_never_opens",
    "two_users_on_two_nodes_chat",
    "heartbeats_keep_a_socket_open",
    "a_client_connects_again_after_the_server_disconnects_it",
    "a_plain_websocket_with_version_1_frames_can_chat",
]
ENDING_A_NODE = [
    "a_client_of_a_stopped_node_joins_again_at_another_one",
    "a_client_of_a_killed_node_joins_again_at_another_one",
]


def node_program() -> Path:
    found = find_node()
    assert found is not None, "no Node 18 or newer: `make test` brings one"
    assert (SCRIPT.parent / "node_modules" / "phoenix").is_dir(), (
        "the npm packages are missing: `make test` brings them"
    )
    return found.node


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nodes(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Node]]:
    with servers.empty_redis() as redis_url:
        processes = Processes(Settings(redis_url=redis_url), tmp_path_factory.mktemp("lab"))
        try:
            yield [await processes.lab("--redis-url", redis_url) for _ in range(2)]
        finally:
            await processes.stop()


async def play(name: str, nodes: list[Node]) -> None:
    given = {
        "nodes": [node.socket_url.removesuffix("/websocket") for node in nodes],
        "tokens": {user: token_of(user, secret=DEFAULT_SECRET) for user in USERS},
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node_program(), SCRIPT, name, json.dumps(given), stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for line in process.stdout:
                ((what, number),) = json.loads(line).items()
                match what:
                    case "kill":
                        nodes[number].kill()
                    case "stop":
                        await nodes[number].stop()
                process.stdin.write(b"done\n")
                await process.stdin.drain()
            errors = await process.stderr.read()
            assert await process.wait() == 0, errors.decode()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("name", SCENARIOS)
async def test_scenario_of_the_phoenix_client(name: str, nodes: list[Node]) -> None:
    await play(name, nodes)


@pytest.mark.parametrize("name", ENDING_A_NODE)
async def test_scenario_in_which_a_node_ends(name: str, servers: Servers, tmp_path: Path) -> None:
    with servers.empty_redis() as redis_url:
        processes = Processes(Settings(redis_url=redis_url), tmp_path)
        try:
            await play(name, [await processes.lab("--redis-url", redis_url) for _ in range(2)])
        finally:
            await processes.stop()


async def test_every_scenario_is_played() -> None:
    process = await asyncio.create_subprocess_exec(node_program(), SCRIPT, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert json.loads(output) == [*SCENARIOS, *ENDING_A_NODE]
