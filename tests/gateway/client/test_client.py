"""The command line client prints what a gateway sends, and its exit code says whether it succeeded."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.settings import Settings
from tests.lab.__main__ import DEFAULT_SECRET
from tests.lab.tokens import token_of
from tests.support.ports import free_port
from tests.support.processes import Node, Processes, base_environment
from tests.support.servers import run

pytestmark = pytest.mark.servers
CHECKOUT = Path(__file__).parents[3]
TOKEN = token_of(secret=DEFAULT_SECRET)


@dataclass(frozen=True)
class Outcome:
    code: int
    lines: list[Any]
    errors_printed: str


async def client(*arguments: str, url: str, token: str = TOKEN) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway.client", "--url", url, *arguments),
        cwd=CHECKOUT,
        env={**base_environment(), "TOKEN": token},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, [json.loads(line) for line in output.splitlines()], errors.decode())


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    processes = Processes(Settings(), tmp_path_factory.mktemp("lab"))
    yield run(processes.lab())
    run(processes.stop())


async def test_push_prints_the_reply_and_succeeds(lab: Node) -> None:
    outcome = await client("push", "lab:ok", "echo", '{"n": 12345678901234567890}', url=lab.socket_url)
    assert outcome == Outcome(0, [{"response": {"n": 12345678901234567890}, "status": "ok"}], "")


async def test_push_prints_an_error_reply_and_fails(lab: Node) -> None:
    outcome = await client("push", "lab:ok", "echo_error", '{"n": 1}', url=lab.socket_url)
    assert outcome == Outcome(1, [{"response": {"n": 1}, "status": "error"}], "")


async def test_push_fails_when_the_channel_crashes(lab: Node) -> None:
    outcome = await client("push", "lab:ok", "crash", url=lab.socket_url)
    assert outcome.code == 1
    assert [line["status"] for line in outcome.lines] == ["phx_error"]


async def test_join_prints_a_given_number_of_frames(lab: Node) -> None:
    outcome = await client("--count", "3", "join", "lab:presence:x", '{"key": "k", "meta": {}}', url=lab.socket_url)
    assert outcome.code == 0
    assert [frame[3] for frame in outcome.lines] == ["phx_reply", "presence_state", "presence_diff"]


async def test_join_succeeds_after_a_given_time(lab: Node) -> None:
    outcome = await client("--seconds", "1", "join", "lab:ok", url=lab.socket_url)
    assert (outcome.code, len(outcome.lines)) == (0, 1)


@pytest.mark.parametrize("command", [["join", "lab:denied"], ["push", "lab:denied", "echo"]])
async def test_a_refused_join_fails(lab: Node, command: list[str]) -> None:
    outcome = await client(*command, url=lab.socket_url)
    assert outcome.code == 1
    assert "denied" in str(outcome.lines)


async def test_a_wrong_token_is_reported_in_one_line_without_the_token(lab: Node) -> None:
    outcome = await client("join", "lab:ok", url=lab.socket_url, token="wrong-token")
    assert (outcome.code, outcome.lines, outcome.errors_printed.count("\n")) == (1, [], 1)
    assert "403" in outcome.errors_printed
    assert "wrong-token" not in outcome.errors_printed


@pytest.mark.parametrize("url", ["ws://127.0.0.1:PORT/socket/websocket", "no url at all"])
async def test_an_unreachable_gateway_is_reported_in_one_line(url: str) -> None:
    outcome = await client("join", "lab:ok", url=url.replace("PORT", str(free_port())))
    assert (outcome.code, outcome.lines, outcome.errors_printed.count("\n")) == (1, [], 1)
    assert outcome.errors_printed.startswith("cannot connect to ")
    assert TOKEN not in outcome.errors_printed


async def test_a_payload_that_is_not_json_is_refused_before_connecting() -> None:
    outcome = await client("push", "lab:ok", "echo", "{bad", url="ws://127.0.0.1:1")
    assert outcome.code == 2
    assert "is not JSON: '{bad'" in outcome.errors_printed


async def test_push_fails_when_the_server_closes_the_connection(lab: Node) -> None:
    outcome = await client("push", "lab:ok", "disconnect_me", url=lab.socket_url)
    assert outcome.code == 1
    assert outcome.errors_printed == "the server closed the connection with code 1001\n"


async def test_each_line_is_written_at_once_so_that_programs_can_share_an_output(lab: Node) -> None:
    # A socket of packets keeps writes apart.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-m", "gateway.client", "--url", lab.socket_url, "push", "lab:ok", "echo", "{}"),
            cwd=CHECKOUT,
            env={**base_environment(), "TOKEN": TOKEN},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=theirs.fileno(),
        )
        assert await process.wait() == 0
        theirs.close()
        writes = [ours.recv(1000), ours.recv(1000)]
    assert writes == [b'{"response":{},"status":"ok"}\n', b""]
