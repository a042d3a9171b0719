"""What one channel can reach, as gateway/channel.py promises it: its client, other channels, presence.

It says what to do on behalf of a channel, and when it may not be done; it runs no callbacks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gateway.channel import BadReturn, Error, NoRef, Ok, Reply, SocketRef
from gateway.presence.tracker import Tracker

if TYPE_CHECKING:
    from gateway.runtime.channel_server import ChannelServer


class ChannelSocket:
    """The `socket` of the channel that `server` runs."""

    __slots__ = ("_connection", "_server", "join_ref", "topic")

    def __init__(self, server: ChannelServer) -> None:
        self._server = server
        self._connection = server.connection
        self.topic = server.topic
        self.join_ref = server.join_ref

    @property
    def identity(self) -> Any:
        return self._connection.identity

    @property
    def context(self) -> Any:
        return self._connection.endpoint.context

    # The client

    def push(self, event: str, payload: Any) -> None:
        server = self._server
        if server.held is not None:
            raise RuntimeError("nothing can be pushed before the join is answered; use send_info and push from there")
        if server.ended:
            # A timer of the channel's, say, that fires too late: the client has left this join behind.
            return
        connection = self._connection
        connection.send(connection.serializer.push(self.join_ref, None, self.topic, event, payload))

    def socket_ref(self) -> SocketRef:
        message = self._server.handling
        if message is None:
            raise RuntimeError("socket_ref names the push that handle_in is handling")
        if message.ref is None:
            raise NoRef("the client sent no ref, and so waits for no answer")
        return SocketRef(self.join_ref, message.ref, self.topic)

    def reply(self, ref: SocketRef, reply: Ok | Error | Reply) -> None:
        if type(reply) not in (Ok, Error, Reply):
            raise BadReturn(f"a reply is Ok, Error or Reply, not {reply!r}")
        connection = self._connection
        connection.send(connection.serializer.reply(ref.join_ref, ref.ref, ref.topic, reply.status, reply.response))

    def renew(self, identity: Any) -> None:
        self._connection.renew(identity)

    # Channels

    def broadcast(self, topic: str, event: str, payload: Any) -> None:
        self._connection.endpoint.broadcast(topic, event, payload)

    def broadcast_to_all(self, topics: Iterable[str], event: str, payload: Any) -> None:
        self._connection.endpoint.broadcast_to_all(topics, event, payload)

    def broadcast_from(self, topic: str, event: str, payload: Any) -> None:
        self._connection.endpoint.broadcast(topic, event, payload, sender=self._server)

    def send_info(self, message: Any) -> None:
        self._server.send_info(message)

    async def subscribe(self) -> None:
        await self._server.subscribe()

    def disconnect(self, user_id: int) -> None:
        self._connection.endpoint.disconnect(user_id)

    # Presence

    @property
    def _presence(self) -> Tracker:
        channel = self._server.channel
        if not channel.tracks_presence:
            raise RuntimeError(f"{type(channel).__name__} does not set tracks_presence")
        return self._connection.endpoint.presence

    async def track(self, key: str, meta: dict[str, Any]) -> None:
        if not self._server.ended:
            await self._presence.track(self.topic, key, meta, self._server)

    async def update_presence(self, key: str, meta: dict[str, Any]) -> None:
        if not self._server.ended:
            await self._presence.update(self.topic, key, meta, self._server)

    async def untrack(self, key: str) -> None:
        await self._presence.untrack(self.topic, key, self._server)

    async def list_presence(self) -> dict[str, Any]:
        return self._presence.list(self.topic)
