"""The base class of channels, with the words of Phoenix.Channel.

    class Room(Channel):
        intercepts = frozenset({"masked"})

        async def join(self, topic, params):
            return Ok({"members": 3})

        async def handle_in(self, event, payload):
            match event:
                case "shout":
                    self.broadcast("shout", payload)
                    return Ok()
                case _:
                    return await super().handle_in(event, payload)

A channel lives from its join to its end, for one topic of one connection. gateway/runtime/callbacks.py has the
callbacks that a channel may override, and their results. This module has what a channel can do. The callbacks of one
channel run one at a time, in the order in which their causes arrived. Different channels do not wait for each other. A
callback that raises ends its channel only: the client gets `phx_error` and may join again.

A channel sees no frames, no transports and no broker.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.presence.tracker import Tracker
from gateway.protocol.session import State
from gateway.runtime.callbacks import (
    CLOSED,
    CRASHED,
    DUPLICATE_JOIN,
    LEFT,
    BadReturn,
    Callbacks,
    Error,
    HandleResult,
    InfoResult,
    JoinResult,
    NoRef,
    Notice,
    NotSubscribed,
    Ok,
    Reply,
    SocketRef,
    Stop,
    UnknownEvent,
)
from gateway.runtime.channel_server import ChannelServer
from shared.access.actor import Actor
from shared.security_events import SecurityEvent

__all__ = [
    "CLOSED",
    "CRASHED",
    "DUPLICATE_JOIN",
    "LEFT",
    "BadReturn",
    "Channel",
    "Error",
    "HandleResult",
    "InfoResult",
    "JoinResult",
    "NoRef",
    "NotSubscribed",
    "Notice",
    "Ok",
    "Reply",
    "SocketRef",
    "Stop",
    "UnknownEvent",
]


class Channel(Callbacks):
    """Override the callbacks; call the other methods. Of these, only the two that subscribe wait."""

    __slots__ = ("__dict__",)

    _server: ChannelServer

    @property
    def topic(self) -> str:
        """The topic that this channel joined."""
        return self._server.topic

    @property
    def actor(self) -> Actor:
        """The user who connected. A change of role or a new token replaces this object."""
        return self._server.connection.actor

    @property
    def context(self) -> Any:
        """The object that the application gives to all channels. It has the repositories."""
        return self._server.connection.endpoint.context

    async def handle_out(self, event: str, payload: Any) -> InfoResult:
        self.push(event, payload)
        return None

    # The client

    def push(self, event: str, payload: Any) -> None:
        """Send an event to this client. Raises RuntimeError in `join`: the client does not know the channel yet."""
        server = self._server
        if server.joined.state is State.JOINING:
            raise RuntimeError("nothing can be pushed before the join is answered; use send_info and push from there")
        if server.ended:
            # The client has ended this join. The push comes too late, for example from a timer of the channel.
            return
        connection = server.connection
        connection.send(connection.serializer.push(server.join_ref, None, server.topic, event, payload))

    def socket_ref(self) -> SocketRef:
        """Returns the reference of the push that `handle_in` is handling, for a later `reply`.

        Raises RuntimeError outside of `handle_in`, and NoRef for a push without a ref.
        """
        message = self._server.handling
        if message is None:
            raise RuntimeError("socket_ref can be called only while handle_in handles a push")
        if message.ref is None:
            raise NoRef("the client sent no ref, so it does not wait for a reply")
        return SocketRef(self._server.join_ref, message.ref, self._server.topic)

    def reply(self, ref: SocketRef, reply: Ok | Error | Reply) -> None:
        """Answer a push for which `handle_in` returned None. Call it from anywhere, once for each ref."""
        if type(reply) not in (Ok, Error, Reply):
            raise BadReturn(f"a reply is Ok, Error or Reply, not {reply!r}")
        connection = self._server.connection
        connection.send(connection.serializer.reply(ref.join_ref, ref.ref, ref.topic, reply.status, reply.response))

    def renew(self, actor: Actor, as_of: float) -> None:
        """Use the actor of a new token of the same user. The connection then lives as long as this token.

        `as_of` is the loop time before the actor was looked up.
        """
        self._server.connection.renew(actor, as_of)

    def tell(self, event: SecurityEvent, **what: object) -> None:
        """Tell the operator, in the log and in the metrics, of something that may be an attack by this user."""
        self._server.connection.tell(event, channel=type(self).__name__, **what)

    # Channels

    def broadcast(self, event: str, payload: Any) -> None:
        """Send an event to everyone who joined this topic, on all nodes. Members on this node have it on return."""
        self.broadcast_to(self._server.topic, event, payload)

    def broadcast_from(self, event: str, payload: Any) -> None:
        """Like `broadcast`, but not to this client."""
        server = self._server
        server.connection.endpoint.broadcast(server.topic, event, payload, sender=server)

    def broadcast_to(self, topic: str, event: str, payload: Any) -> None:
        """Like `broadcast`, to any topic."""
        self._server.connection.endpoint.broadcast(topic, event, payload)

    def broadcast_to_all(self, topics: Iterable[str], event: str, payload: Any) -> None:
        """Like `broadcast`, to each of several topics; the payload is encoded once."""
        self._server.connection.endpoint.broadcast_to_all(topics, event, payload)

    def send_info(self, message: Any) -> None:
        """Call `handle_info` with the message after the current callback; during `join`, after the join's reply."""
        self._server.send_info(message)

    async def subscribe(self) -> None:
        """Call this in `join` to subscribe early. Broadcasts are then held back until the join's reply is sent.

        A join that reads missed messages calls this before it reads. So it loses no broadcast between the reading and
        the reply. Raises NotSubscribed.
        """
        await self._server.subscribe()

    async def subscribe_node(self, topic: str) -> None:
        """Subscribe this node to one other topic until this channel ends; the client gets nothing of it.

        Others see by it that the node has somebody there. Call this in `join`. Raises NotSubscribed.
        """
        await self._server.subscribe_node(topic)

    # Presence

    @property
    def _presence(self) -> Tracker:
        if not self.tracks_presence:
            raise RuntimeError(f"{type(self).__name__} does not set tracks_presence")
        return self._server.connection.endpoint.presence

    def track(self, key: str, meta: dict[str, Any]) -> None:
        """Show `key` as present on this topic, with `meta`, until it is untracked or this channel ends."""
        if not self._server.ended:
            self._presence.track(self.topic, key, meta, self._server)

    def update_presence(self, key: str, meta: dict[str, Any]) -> None:
        """Replace the meta of a key that this channel tracks. Raises LookupError for any other key."""
        if not self._server.ended:
            self._presence.update(self.topic, key, meta, self._server)

    def untrack(self, key: str) -> None:
        """Stop tracking a key. Does nothing if this channel does not track it."""
        self._presence.untrack(self.topic, key, self._server)

    def intercept(self, event: str) -> None:
        """Give this event to `handle_out` from now on, in this channel only, as if it were among `intercepts`."""
        self._server.intercepts |= {event}

    def list_presence(self) -> dict[str, Any]:
        """Returns who is present on this topic, on all nodes: `{key: {"metas": [{"phx_ref": ..., ...}]}}`."""
        return self._presence.list(self.topic)
