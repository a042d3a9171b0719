"""Sessions recorded from a real server's WebSockets go the same way over long polling, through two nodes in turn."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import jwt
import pytest

import tests.protocol.recordings
from tests.lab.__main__ import DEFAULT_SECRET
from tests.protocol.recordings.player import Line, Noted, Player
from tests.support.processes import Processes

RECORDINGS = Path(tests.protocol.recordings.__file__).parent
SESSION_GONE = 3410
"""What phoenix.js calls a session that has ended, whatever the cause."""


class Message(NamedTuple):
    """As aiohttp's."""

    type: aiohttp.WSMsgType
    data: Any


class LongPollSocket:
    """A session that reads and writes as aiohttp's client WebSocket does."""

    protocol = None
    close_code = SESSION_GONE

    def __init__(self, client: aiohttp.ClientSession, urls: list[str], jwt: str, query: dict[str, str]) -> None:
        self._client = client
        self._urls = itertools.cycle([f"{url}/socket/longpoll" for url in urls])
        self._jwt = jwt
        self._query = query
        self._token = ""
        self._messages: list[str] = []
        self._posting = asyncio.Lock()

    async def open(self) -> int:
        """410, and the session is there; or another status."""
        answer = await self._get()
        self._token = answer.get("token", "")
        status: int = answer["status"]
        return status

    async def _get(self) -> dict[str, Any]:
        params = [*self._query.items(), ("token", self._token)] if self._token else list(self._query.items())
        headers = {"X-Phoenix-AuthToken": self._jwt} if self._jwt else {}
        async with self._client.get(next(self._urls), params=params, headers=headers) as response:
            answer: dict[str, Any] = await response.json()
            return answer

    async def receive(self) -> Message:
        while not self._messages:
            answer = await self._get()
            if answer["status"] not in (200, 204):
                assert answer["status"] == 410
                return Message(aiohttp.WSMsgType.CLOSE, SESSION_GONE)
            self._messages = answer["messages"]
        message = self._messages.pop(0)
        if message[0] in "[{":
            return Message(aiohttp.WSMsgType.TEXT, message)
        return Message(aiohttp.WSMsgType.BINARY, base64.b64decode(message))

    async def send_str(self, text: str) -> None:
        await self._post(text, "application/json")

    async def send_bytes(self, data: bytes) -> None:
        await self._post(base64.b64encode(data).decode(), "application/x-ndjson")

    async def _post(self, body: str, content_type: str) -> None:
        headers = {"content-type": content_type}
        async with (
            self._posting,
            self._client.post(
                next(self._urls), params={"token": self._token}, data=body.encode(), headers=headers
            ) as response,
        ):
            assert (await response.json())["status"] in (200, 400, 410)

    async def close(self, code: int = 1000) -> None:
        """Nothing tells a server that nobody will poll any more."""


class LongPollPlayer(Player):
    """Its connections are sessions; every request goes to the next node."""

    async def _connect(
        self, client: aiohttp.ClientSession, name: str, how: dict[str, Any], lines: dict[str, Line], noted: Noted
    ) -> None:
        claims = {"sub": str(how.get("user", 1)), "exp": int(time.time()) + 3600}
        token = jwt.encode(claims, self._secret, "HS256")
        query = dict(how.get("params", {}))
        if how.get("vsn") is not None:
            query["vsn"] = how["vsn"]
        auth = how.get("auth", "query")
        if auth in ("query", "bad"):
            query["token"] = token if auth == "query" else "not.a.token"
        socket: Any = LongPollSocket(client, self._addresses, token if auth == "protocol" else "", query)
        status = await socket.open()
        if status == 410:
            noted.add({"conn": name, "open": None})
            lines[name] = Line(name, socket, how.get("vsn"), noted)
        else:
            noted.add({"conn": name, "refused": status})


def over_longpoll(scenario: dict[str, Any]) -> dict[str, Any]:
    """The same scenario as long polling shows it: no subprotocols, and one code for every end."""
    steps = []
    for step in scenario["steps"]:
        then = [dict(seen) for seen in step["then"]]
        for seen in then:
            if "open" in seen:
                seen["open"] = None
            if "close" in seen:
                seen["close"] = SESSION_GONE
        steps.append({**step, "then": then})
    return {**scenario, "steps": steps}


def can_be_played(scenario: dict[str, Any]) -> bool:
    """A client cannot hang up, and a line with nothing on it is no frame."""
    return not any("close" in step or step.get("binary") == "" for step in scenario["steps"])


@pytest.mark.parametrize(("name", "count"), [("sessions.json", 132), ("generated.json", 55)])
async def test_two_nodes_answer_long_polls_as_recorded(name: str, count: int, processes: Processes) -> None:
    scenarios = json.loads((RECORDINGS / name).read_text(encoding="utf-8"))
    played = [over_longpoll(scenario) for scenario in scenarios if can_be_played(scenario)]
    assert len(played) == count
    redis = processes.settings.redis_url
    nodes = [await processes.lab("--redis-url", redis), await processes.lab("--redis-url", redis)]
    differences = await LongPollPlayer([node.url for node in nodes], DEFAULT_SECRET).differences(played)
    assert not differences, "\n".join(differences)
    for node in nodes:
        # Without a drain, which would be long for so many sessions that nobody polls any more.
        node.kill()
