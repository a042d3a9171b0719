"""Gateway nodes and connections without sockets: a connection keeps the frames that it gets, as a client reads them."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Any

from gateway.channel import Channel
from gateway.protocol.close_codes import Close
from gateway.protocol.messages import Binary, Frame
from gateway.protocol.serializer import Serializer
from gateway.protocol.serializer_v1 import SERIALIZER as V1
from gateway.protocol.serializer_v2 import SERIALIZER as V2
from gateway.protocol.topics import TopicRoutes
from gateway.runtime.broadcast import Broadcast
from gateway.runtime.connection import Connection
from gateway.runtime.endpoint import Endpoint
from shared.access.actor import Actor
from shared.domain.users import Role
from shared.pubsub.memory import MemoryBroker, MemoryHub
from shared.settings import Settings
from tests.protocol.client_frames import Received, read_v1, read_v2, read_v2_binary
from tests.support.waiting import PATIENCE_SECONDS, until

NEVER = 4_000_000_000
"""The expiry of a token that outlives every test, in seconds since the epoch."""


def actor(user_id: int = 1, session_id: str = "s", role: Role = Role.USER, *, expires_at: int = NEVER) -> Actor:
    return Actor(user_id, session_id, role, "A name", expires_at)


async def start_node(
    routes: Mapping[str, type[Channel]],
    hub: MemoryHub | None = None,
    settings: Settings | None = None,
    **more: Any,
) -> Endpoint:
    """Start a node. Nodes with the same hub get each other's broadcasts. `more` is given to Endpoint."""
    endpoint = Endpoint(settings or Settings(), TopicRoutes(routes.items()), MemoryBroker(hub), **more)
    await endpoint.start()
    return endpoint


class Client(Connection):
    """A connection and its client in one. The refs differ from the join_refs, so that a test notices a mix-up."""

    def __init__(
        self,
        endpoint: Endpoint,
        user: int | Actor = 1,
        serializer: Serializer = V2,
        *,
        as_of: float = math.inf,
    ) -> None:
        """`as_of` is the loop's time at which the user was looked up. By default it is later than every event."""
        super().__init__(endpoint, serializer, user if isinstance(user, Actor) else actor(user), as_of)
        self.received: list[Received] = []
        self.close_code: int | None = None
        self._changed = asyncio.Event()
        self._ref = 0
        endpoint.connections.add(self)

    # As the transport

    def send(self, frame: Frame | None) -> None:
        if frame is None or self.gone:
            return
        if type(frame) is Binary:
            received = read_v2_binary(frame)
        else:
            received = (read_v1 if self.serializer is V1 else read_v2)(frame)
        self.received.append(received)
        self._changed.set()

    def send_broadcast(self, broadcast: Broadcast) -> None:
        self.send(broadcast.frame(self.serializer))

    outbox_bytes: int = 0

    def close(self, close: Close) -> None:
        if self.close_code is None:
            self.close_code = close.code
            self.closes(close)
            self.dropped()

    # As the client

    def says(self, join_ref: Any, ref: Any, topic: Any, event: Any, payload: Any = None) -> None:
        """Send one frame. Replies that need no waiting have arrived on return."""
        payload = {} if payload is None else payload
        if self.serializer is V1:
            frame: Any = {"topic": topic, "event": event, "payload": payload, "ref": ref}
        else:
            frame = [join_ref, ref, topic, event, payload]
        self.handle(self.serializer.decode_text(json.dumps(frame).encode()))

    async def until(self, event: str) -> list[Received]:
        """Wait for an event, and return all frames up to it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not any(one.event == event for one in self.received):
                self._changed.clear()
                await self._changed.wait()
        return self.take()

    def take(self) -> list[Received]:
        """Return the frames that have arrived since the last call."""
        received, self.received = self.received, []
        return received

    def events(self) -> list[Any]:
        """Like `take`, but shorter: the ref of each reply, and the event of each other frame."""
        return [one.ref if one.event == "phx_reply" else one.event for one in self.take()]

    async def gets(self, count: int) -> list[Received]:
        """Wait until at least `count` frames have arrived, and return all that have."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.received) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.take()

    async def joins(self, topic: str, params: Any = None, join_ref: str = "j1") -> None:
        self.says(join_ref, "join", topic, "phx_join", params)
        (answer, *_) = await self.gets(1)
        assert answer.payload["status"] == "ok", answer


async def wait_for_looks(*clients: Client) -> None:
    """Wait until no channel of these clients is busy or holds broadcasts back."""
    await until(lambda: not any(map(_is_busy, clients)))


def _is_busy(client: Client) -> bool:
    servers = [joined.server for joined in client.session.topics.values() if joined.server is not None]
    return any(server.is_busy or server.held is not None for server in servers)


def reply(ref: Any, response: Any = None, status: str = "ok", topic: str = "room:1", join_ref: Any = "j1") -> Received:
    body = {"response": {} if response is None else response, "status": status}
    return Received("text", join_ref, ref, topic, "phx_reply", body)


def push(event: str, payload: Any = None, topic: str = "room:1", join_ref: Any = "j1") -> Received:
    return Received("text", join_ref, None, topic, event, {} if payload is None else payload)


def broadcast(event: str, payload: Any = None, topic: str = "room:1") -> Received:
    return Received("text", None, None, topic, event, {} if payload is None else payload)


def closed(join_ref: Any = "j1", topic: str = "room:1") -> Received:
    return Received("text", join_ref, join_ref, topic, "phx_close", {})


def crashed(join_ref: Any = "j1", topic: str = "room:1") -> Received:
    return Received("text", join_ref, join_ref, topic, "phx_error", {"reason": "channel_crash"})
