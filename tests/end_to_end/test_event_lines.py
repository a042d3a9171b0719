"""Whoever runs a gateway at a terminal sees what clients do, a line each, and no payload."""

from __future__ import annotations

import asyncio
import re

import pytest

from development.child import happens
from tests.end_to_end.conftest import Daveslist
from tests.support.client import Socket
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_each_connect_join_and_push_has_a_line_for_people(daveslist: Daveslist) -> None:
    gateway = await daveslist.processes.gateway(LOG_FORMAT="text")
    ann, bob = [await daveslist.rest.register(name) for name in ("Ann", "Bob")]
    topic = ann.topic
    async with await Socket.connect(gateway.socket_url, ann.token) as socket:
        assert (await socket.join(topic))["status"] == "ok"
        assert (await socket.join(bob.topic, join_ref="j2"))["status"] == "error"
        await socket.push(topic, "send", {"to": str(bob.id), "message": "a payload"})
    wanted = [
        r"connected connection_id=\S+",
        rf"joined connection_id=\S+ topic={topic} ms=[\d.]+",
        rf"access_refused connection_id=\S+ channel=PrivateChat topic={bob.topic}",
        rf"join refused connection_id=\S+ topic={bob.topic} ms=[\d.]+",
        rf"handled connection_id=\S+ topic={topic} push=send",
        r"disconnected connection_id=\S+",
    ]

    def lines() -> list[str]:
        return [line for line in gateway.output().splitlines() if f" user {ann.id} " in line]

    assert await happens(lambda: len(lines()) >= len(wanted), PATIENCE_SECONDS)
    assert len(lines()) == len(wanted)
    for line, one in zip(lines(), wanted, strict=True):
        assert re.fullmatch(rf"\d\d:\d\d:\d\d gateway:\d+ +user {ann.id} +{one}", line), line
    assert "a payload" not in gateway.output()
    await asyncio.to_thread(gateway.kill)
