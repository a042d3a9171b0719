"""Plays sessions that were recorded over WebSockets of a real Phoenix server, over long polling through two nodes."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

import tests.protocol.recordings
from tests.lab.__main__ import DEFAULT_SECRET
from tests.lab.tokens import token_of
from tests.protocol.recordings.player import Line, Noted, Player
from tests.support.processes import Processes

RECORDINGS = Path(tests.protocol.recordings.__file__).parent
SESSION_GONE = 3410
"""The close code of phoenix.js for a session that has ended for any reason."""


class Message(NamedTuple):
    """A message in the form of aiohttp's WSMessage."""

    type: aiohttp.WSMsgType
    data: Any


class LongPollSocket:
    """A long-poll session with the interface of aiohttp's client WebSocket."""

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
        """Open the session, and return the status. 410 means that it is open."""
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
        """Do nothing: a client cannot tell the server that it has stopped polling."""


class LongPollPlayer(Player):
    """Plays connections as long-poll sessions. Every request goes to the next node."""

    async def _connect(
        self, client: aiohttp.ClientSession, name: str, how: dict[str, Any], lines: dict[str, Line], noted: Noted
    ) -> None:
        token = token_of(how.get("user", 1), secret=self._secret)
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
    """The scenario as a long-polling client sees it: without subprotocols, and with one code for every close."""
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
    """False for scenarios in which the client closes or sends an empty frame: long polling has neither."""
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
        # A drain would take long, because it waits for sessions that nobody polls any more.
        node.kill()
