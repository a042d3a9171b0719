"""Clients for tests: a REST client that registers people, and a WebSocket client that sends and receives frames."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.support.waiting import PATIENCE_SECONDS

PING_SECONDS = 20.0
"""A gateway closes a connection on which its client has sent nothing for a minute; a test may take longer than that."""
PASSWORD = "correct horse battery"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """A registered user with an access token."""

    id: int
    name: str
    email: str
    token: str
    refresh_token: str

    @property
    def topic(self) -> str:
        return f"private_chat:{self.id}"


class Rest:
    """The API at an address. `call` checks the status of an answer, and returns its decoded body."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = aiohttp.ClientSession()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def call(
        self,
        method: str,
        path: str,
        status: int,
        *,
        who: Person | None = None,
        body: Any = None,
        data: Any = None,
        **query: Any,
    ) -> Any:
        headers = {"Authorization": f"Bearer {who.token}"} if who else {}
        params = {k: str(v) for k, v in query.items()}
        async with self._client.request(
            method, self._url + path, json=body, data=data, headers=headers, params=params
        ) as response:
            text = await response.text()
            assert response.status == status, f"{method} {path}: {response.status} {text}"
            return json.loads(text) if text else None

    async def register(self, name: str = "Somebody") -> Person:
        email = f"{name.lower()}{next(_numbers)}@example.com"
        answer = await self.call(
            "POST", "/api/register", 201, body={"email": email, "password": PASSWORD, "name": name}
        )
        return Person(answer["user"]["id"], name, email, answer["access_token"], answer["refresh_token"])


class Socket:
    """A WebSocket whose frames are JSON. Frames that arrive are kept until a test takes them.

    It sends pings, so that a gateway does not take it for dead while the test does something else. aiohttp's heartbeat
    would do that too, but closes the socket of a gateway that a test has frozen.
    """

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, session: aiohttp.ClientSession, ping_seconds: float
    ) -> None:
        self._socket = socket
        self._session = session
        self.frames: list[Any] = []
        self.close_code: int | None = None
        self._changed = asyncio.Event()
        self._reader = asyncio.create_task(self._read())
        self._pinging = asyncio.create_task(self._ping(ping_seconds))

    @classmethod
    async def connect(
        cls, url: str, token: str | None, vsn: str | None = "2.0.0", *, ping_seconds: float = PING_SECONDS
    ) -> Socket:
        """Open a socket. Raises aiohttp.WSServerHandshakeError if the connection is refused."""
        session = aiohttp.ClientSession()
        query = {name: value for name, value in (("token", token), ("vsn", vsn)) if value is not None}
        try:
            return cls(await session.ws_connect(url, params=query, max_msg_size=0), session, ping_seconds)
        except BaseException:
            await session.close()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.frames.append(json.loads(message.data))
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.frames.append(message.data)
            self._changed.set()
        self.close_code = self._socket.close_code
        self._changed.set()

    async def _ping(self, seconds: float) -> None:
        with suppress(OSError, aiohttp.ClientError):
            while self.close_code is None:
                await asyncio.sleep(seconds)
                await self._socket.ping()

    async def send(self, frame: Any) -> None:
        """Send a frame: text and bytes as they are, anything else as JSON."""
        if isinstance(frame, bytes):
            await self._socket.send_bytes(frame)
        else:
            await self._socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def take(self, wanted: Callable[[Any], bool] = lambda _: True) -> Any:
        """Take the first wanted frame that was not taken before; wait until it comes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for index, frame in enumerate(self.frames):
                    if wanted(frame):
                        return self.frames.pop(index)
                assert self.close_code is None, f"closed with {self.close_code}, having {self.frames}"
                self._changed.clear()
                await self._changed.wait()

    async def closed(self) -> int:
        """Wait until the server has closed the connection, and return the close code."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.close_code is None:
                self._changed.clear()
                await self._changed.wait()
        return self.close_code

    # Version 2. The join_ref is never equal to a ref

    async def join(self, topic: str, params: Any = None, join_ref: str = "j1") -> Any:
        """Join a topic, and return the payload of the answer."""
        await self.send([join_ref, "join", topic, "phx_join", {} if params is None else params])
        frame = await self.take(lambda frame: frame[1] == "join" and frame[3] == "phx_reply")
        assert frame[0] in (join_ref, None)
        return frame[4]

    async def push(self, topic: str, event: str, payload: Any, join_ref: str = "j1") -> Any:
        """Push an event, and return the payload of the answer."""
        ref = f"r{next(_numbers)}"
        await self.send([join_ref, ref, topic, event, payload])
        return (await self.take(lambda frame: frame[1] == ref))[4]

    async def event(self, event: str) -> Any:
        """The payload of the next broadcast or push of this event."""
        return (await self.take(lambda frame: frame[3] == event))[4]

    async def close(self) -> None:
        await self._socket.close()
        await self._session.close()
        for task in (self._reader, self._pinging):
            task.cancel()
        await asyncio.gather(self._reader, self._pinging, return_exceptions=True)
