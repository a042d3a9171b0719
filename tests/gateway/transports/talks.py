"""Clients that say and hear messages, by each transport and in each version of the protocol."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp

from gateway.protocol.messages import Message
from tests.gateway.transports.conftest import LabServer
from tests.gateway.transports.longpoll.client import LongPollClient
from tests.protocol.client_frames import Received, read_v1, read_v2, read_v2_binary, v1_text, v2_binary, v2_text
from tests.support.waiting import PATIENCE_SECONDS

TRANSPORTS = ("websocket", "longpoll")
V1, V2 = "1.0.0", "2.0.0"


def message(join_ref: Any, ref: Any, topic: str, event: str, payload: Any = None) -> Message:
    return Message(join_ref, ref, topic, event, {} if payload is None else payload)


class Talk(Protocol):
    """One client."""

    vsn: str

    async def says(self, *messages: Message) -> None:
        """Send the messages together."""

    async def hears(self, count: int) -> list[Received]:
        """Wait for the next messages. In version 1 their join_ref is None."""

    async def is_ended(self) -> bool:
        """Wait until the server has ended the connection or the session."""


class SocketTalk:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse, vsn: str) -> None:
        self.socket = socket
        self.vsn = vsn

    async def says(self, *messages: Message) -> None:
        for one in messages:
            if isinstance(one.payload, bytes):
                await self.socket.send_bytes(_binary(one))
            else:
                await self.socket.send_str(_text(one, self.vsn))

    async def hears(self, count: int) -> list[Received]:
        heard = []
        for _ in range(count):
            got = await self.socket.receive(PATIENCE_SECONDS)
            assert got.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), got
            heard.append(
                read_v2_binary(got.data) if got.type == aiohttp.WSMsgType.BINARY else _read(got.data, self.vsn)
            )
        return heard

    async def is_ended(self) -> bool:
        return bool((await self.socket.receive(PATIENCE_SECONDS)).data == 1001)


class PollTalk:
    def __init__(self, client: LongPollClient, vsn: str) -> None:
        self.client = client
        self.vsn = vsn
        self._heard: list[Received] = []

    async def says(self, *messages: Message) -> None:
        lines = [
            base64.b64encode(_binary(one)).decode() if isinstance(one.payload, bytes) else _text(one, self.vsn)
            for one in messages
        ]
        assert await self.client.post(*lines) == 200

    async def hears(self, count: int) -> list[Received]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self._heard) < count:
                answer = await self.client.poll()
                assert answer["status"] in (200, 204), answer
                self._heard += [
                    _read(one, self.vsn) if one[0] in "[{" else read_v2_binary(base64.b64decode(one))
                    for one in answer["messages"]
                ]
        heard, self._heard = self._heard[:count], self._heard[count:]
        return heard

    async def is_ended(self) -> bool:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (status := (await self.client.poll())["status"]) in (200, 204):
                pass
        return bool(status == 410)


@asynccontextmanager
async def talk(lab: LabServer, transport: str, vsn: str, user_id: int = 1) -> AsyncIterator[Talk]:
    """Connect, and say nothing yet."""
    if transport == "websocket":
        socket = await lab.connect(user_id, vsn)
        yield SocketTalk(socket, vsn)
        await socket.close()
    else:
        async with aiohttp.ClientSession() as http:
            client = LongPollClient(http, [lab.url.replace("/websocket", "/longpoll")], user_id)
            await client.open(vsn)
            yield PollTalk(client, vsn)


def _text(one: Message, vsn: str) -> str:
    if vsn == V2:
        return v2_text(one.join_ref, one.ref, one.topic, one.event, one.payload).decode()
    more = {} if one.join_ref is None else {"join_ref": one.join_ref}
    return v1_text(one.ref, one.topic, one.event, one.payload, **more).decode()


def _binary(one: Message) -> bytes:
    return v2_binary(one.join_ref, one.ref, one.topic, one.event, one.payload)


def _read(text: str, vsn: str) -> Received:
    if vsn == V1:
        assert "join_ref" not in json.loads(text)
        return read_v1(text.encode())
    return read_v2(text.encode())
