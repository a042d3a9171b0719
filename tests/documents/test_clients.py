"""Tests docs/clients.md: its examples work, its frames get the answers shown, and its tables are complete."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from gateway.channels import listing, own_topic
from gateway.channels.authenticated import TOO_MANY_REQUESTS, TRY_AGAIN
from gateway.protocol import messages as wire
from gateway.protocol.close_codes import CLOSES
from shared.domain.alerts import AlertKind
from shared.domain.messages import MessageRefused
from shared.events import alerts, listings, messages, moderation, replies, sanctions, system
from shared.private_chat import EVENTS
from tests.support.client import Person, Rest, Socket
from tests.support.node import find_node
from tests.support.processes import Node, Processes, base_environment

CHECKOUT = Path(__file__).parents[2]
TEXT = (CHECKOUT / "docs" / "clients.md").read_text(encoding="utf-8")
PACKAGES = CHECKOUT / "tests" / "end_to_end" / "js" / "node_modules"

AROUND_JAVASCRIPT = """\
import WebSocket from "ws"
globalThis.WebSocket ??= WebSocket
const [token, userId, stored] = [process.env.TOKEN, process.env.USER_ID, 0]
const show = () => {}
"""


def block(language: str) -> str:
    """The first code block in this language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def test_the_close_codes_are_those_of_the_code() -> None:
    told = {int(code) for code in re.findall(r"^\| (1\d\d\d) \|", TEXT, re.MULTILINE)}
    assert told == {close.code for close in CLOSES}


def rows(heading: str) -> dict[str, str]:
    """The table under this line of headings: each name in the first column, with the rest of its row."""
    [_, table] = TEXT.split(f"| {heading} |\n", 1)
    lines = re.match(r"(?:\|.*\n)+", table)
    assert lines
    cells = [re.split(r"(?<!\\)\|", line.strip("|"), maxsplit=1) for line in lines[0].splitlines()[1:]]
    return {name: rest for first, rest in cells for name in re.findall(r"`([^`]+)`", first)}


def test_the_reasons_of_a_refused_join_are_those_of_the_code() -> None:
    [told] = re.findall(r"^A join that is refused has a `reason`: (.*?)\n\n", TEXT, re.MULTILINE | re.DOTALL)
    of_channels = [own_topic.UNAUTHORIZED, own_topic.USER_NOT_FOUND, listing.NOT_FOUND, TRY_AGAIN, TOO_MANY_REQUESTS]
    reasons = [error.response for error in of_channels]
    reasons += [wire.JOIN_CRASHED, wire.TOO_MANY_CHANNELS, wire.UNMATCHED_TOPIC]
    assert set(re.findall("`([^`]+)`", told)) == {reason["reason"] for reason in reasons} | {"invalid after_id"}


REFUSED = {kind.reason for kind in MessageRefused.__subclasses__()}
"""The reasons for which a message is not stored, other than those that pass."""


def test_the_reasons_of_a_refused_message_are_those_of_the_code() -> None:
    [_, told] = rows("you push | payload | the answer")["send"].split("`reason`")
    passing = {answer.response["reason"] for answer in (TOO_MANY_REQUESTS, TRY_AGAIN)}
    assert set(re.findall(r"`([^`{]+)`", told)) - {"again_at", "errors"} == REFUSED | passing


def test_the_reasons_of_the_javascript_client_are_those_of_the_code() -> None:
    refused = REFUSED | {"could not be sent", "left"}
    assert set(rows("reason | meaning")) == refused
    comment = (CHECKOUT / "clients" / "javascript" / "private_chat" / "send_refused.js").read_text(encoding="utf-8")
    words = re.sub(r"\s+\*?\s*", " ", comment)
    assert {reason for reason in refused if f"`{reason}`" not in words} == set()


def test_the_events_of_each_topic_are_those_of_the_code() -> None:
    presence = {"presence_state", "presence_diff"}
    events = {
        "on `private_chat` | payload": {
            *EVENTS,
            messages.REQUEST,
            messages.DELETED,
            sanctions.SANCTION,
            sanctions.OBJECTION,
        },
        "on `listing` | when it arrives": presence
        | {listings.LISTING_UPDATED, listings.LISTING_REMOVED, replies.REPLY_CREATED},
        "on `moderation` | when it arrives": presence
        | moderation.QUEUE_EVENTS
        | {moderation.TAKEN, moderation.LOOK_AGAIN}
        | {moderation.SANCTIONED, moderation.OBJECTED, moderation.DECIDED},
        "on `system` | when it arrives": {system.NODES, system.GATEWAY, system.DEVICES},
        "on `alerts` | when it arrives": {*AlertKind, alerts.ALERTS_SEEN},
    }
    assert {heading: set(rows(heading)) for heading in events} == events


@pytest.mark.servers
async def test_the_examples_send_messages(processes: Processes, tmp_path: Path) -> None:
    api, gateway = await processes.api(), await processes.gateway()
    async with Rest(api.url) as rest:
        ann, bob = await rest.register("Ann"), await rest.register("Bob")
    async with await Socket.connect(gateway.socket_url, bob.token) as socket:
        assert (await socket.join(bob.topic))["status"] == "ok"
        await _python(gateway, ann, bob, tmp_path)
        assert (await socket.event("send"))["from"] == str(ann.id)
        await _javascript(api, gateway, ann, bob, tmp_path)
        assert (await socket.event("send"))["message"] == "Is it still there?"


@pytest.mark.servers
async def test_the_plain_frames_are_answered_as_shown(processes: Processes) -> None:
    api, gateway = await processes.api(), await processes.gateway()
    async with Rest(api.url) as rest:
        ann, bob = await rest.register("Ann"), await rest.register("Bob")
    text = TEXT.replace("private_chat:7", ann.topic).replace('"12"', f'"{bob.id}"')
    lines = re.findall(r"^(->|<-) (.*)$", text, re.MULTILINE)
    [join, joined, send] = [json.loads(frame) for _, frame in lines]
    async with await Socket.connect(gateway.socket_url, ann.token, vsn=None) as socket:
        await socket.send(join)
        assert await socket.take() == joined
        await socket.send(send)
        reply = await socket.take(lambda frame: frame["event"] == "phx_reply")
        assert (reply["ref"], reply["payload"]["status"]) == (112, "ok")


async def _python(gateway: Node, ann: Person, bob: Person, directory: Path) -> None:
    script = directory / "example.py"
    script.write_text(block("python"), encoding="utf-8")
    given = {"SOCKET": gateway.socket_url, "TOKEN": ann.token, "USER_ID": str(ann.id), "TO": str(bob.id)}
    output = await _run([sys.executable, str(script)], given)
    assert "phx_reply" in output


async def _javascript(api: Node, gateway: Node, ann: Person, bob: Person, directory: Path) -> None:
    node = find_node()
    assert node is not None, "no Node 18 or newer: `make test` installs one"
    (directory / "node_modules").symlink_to(PACKAGES)
    shutil.copytree(CHECKOUT / "clients" / "javascript" / "private_chat", directory / "private_chat")
    (directory / "package.json").write_text('{"type": "module"}')
    text = block("js").replace("wss://HOSTNAME", gateway.url.replace("http", "ws")).replace("https://HOSTNAME", api.url)
    imports, _, rest = text.partition("\n\n")
    script = directory / "example.js"
    whole = f"{imports}\n{AROUND_JAVASCRIPT}{rest}\nprocess.exit(0)\n"
    script.write_text(whole.replace('"12"', f'"{bob.id}"'), encoding="utf-8")
    await _run([str(node.node), str(script)], {"TOKEN": ann.token, "USER_ID": str(ann.id)})


async def _run(command: list[str], environment: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**base_environment(), **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return output.decode()
