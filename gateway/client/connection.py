"""A client's connection to a Phoenix socket: join, push, receive. Only version 2 frames; prints nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec

HEARTBEAT_SECONDS = 30.0

Frame = list[Any]
"""`[join_ref, ref, topic, event, payload]`."""


class Refused(Exception):
    """The connection failed or broke. The message is one line."""


class Connection:
    """One socket. Frames arrive in order; the answers to heartbeats are left out."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._refs = map(str, itertools.count(1))
        self._heartbeats: set[str] = set()
        self._join_refs: dict[str, str] = {}

    async def join(self, topic: str, params: Any) -> str:
        """Send a join. Returns the ref that its reply will have."""
        ref = next(self._refs)
        self._join_refs[topic] = ref
        await self._send([ref, ref, topic, "phx_join", params])
        return ref

    async def push(self, topic: str, event: str, payload: Any) -> str:
        """Push to a joined topic. Returns the ref that its reply will have."""
        ref = next(self._refs)
        await self._send([self._join_refs.get(topic), ref, topic, event, payload])
        return ref

    async def frames(self) -> AsyncIterator[Frame]:
        """Yields every frame that arrives. Raises Refused when the server closes the connection."""
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                frame = msgspec.json.decode(message.data)
                if frame[1] in self._heartbeats:
                    self._heartbeats.discard(frame[1])
                else:
                    yield frame
            elif message.type is aiohttp.WSMsgType.BINARY:
                yield [None, None, None, "binary", base64.b64encode(message.data).decode("ascii")]
        raise Refused(f"the server closed the connection with code {self._socket.close_code}")

    async def reply(self, ref: str) -> dict[str, Any]:
        """Returns the payload of the reply to a ref, and drops the frames before it. Raises Refused."""
        async for frame in self.frames():
            if frame[1] == ref and frame[3] == "phx_reply":
                payload: dict[str, Any] = frame[4]
                return payload
        raise AssertionError("frames() ends only by raising Refused")

    async def beat(self) -> None:
        """Send heartbeats until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            ref = next(self._refs)
            self._heartbeats.add(ref)
            await self._send([None, ref, "phoenix", "heartbeat", {}])

    async def _send(self, frame: Frame) -> None:
        try:
            await self._socket.send_str(msgspec.json.encode(frame).decode())
        except (ConnectionError, aiohttp.ClientError):
            raise Refused("the server closed the connection") from None


@contextlib.asynccontextmanager
async def connect(url: str, token: str) -> AsyncIterator[Connection]:
    """Connect with a token. Raises Refused."""
    query = urlencode({"token": token, "vsn": "2.0.0"})
    # Version 2 frames have no limit here: the server decides what it sends.
    async with aiohttp.ClientSession() as client:
        try:
            socket = await client.ws_connect(f"{url}{'&' if '?' in url else '?'}{query}", max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            hint = ": is the token right, and not expired?" if error.status == 403 else ""
            raise Refused(f"{url} refused the connection with HTTP status {error.status}{hint}") from None
        except aiohttp.ClientConnectorError as error:
            raise Refused(f"cannot connect to {url}: {error.os_error.strerror or error.os_error}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The error's text may repeat the address, and so the token.
            raise Refused(f"cannot connect to {url}: {str(error).replace(query, '...')}") from None
        async with socket:
            connection = Connection(socket)
            beating = asyncio.create_task(connection.beat())
            try:
                yield connection
            finally:
                beating.cancel()
                with contextlib.suppress(asyncio.CancelledError, Refused):
                    await beating
