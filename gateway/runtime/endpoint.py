"""The node: its connections, who joined what, and its link to the other nodes.

A broadcast reaches the members on this node directly, and those on other nodes through the broker; its echo, which
the broker brings back, is known by the node's id and dropped.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any

from gateway.channel import Channel
from gateway.protocol.topics import TopicRoutes
from gateway.runtime.broadcast import Broadcast
from gateway.runtime.channel_server import ChannelServer
from gateway.runtime.connection import Connection
from gateway.runtime.registry import Registry
from gateway.runtime.stepping import Stepper
from shared.events.control import CATCH_UP, CONTROL, DISCONNECT
from shared.events.envelope import BadEnvelope, Envelope, pack, unpack
from shared.pubsub.broker import Broker
from shared.settings import Settings

logger = logging.getLogger(__name__)

GOING_AWAY = 1001
SERVICE_RESTART = 1012


def new_node_id() -> str:
    return secrets.token_hex(8)


class Endpoint:
    """One for each process. Everything in it belongs to the loop that made it."""

    def __init__(
        self,
        settings: Settings,
        routes: TopicRoutes[type[Channel]],
        broker: Broker,
        *,
        context: Any = None,
        node_id: str | None = None,
    ) -> None:
        self.settings = settings
        self.routes = routes
        self.broker = broker
        self.context = context
        self.node_id = node_id or new_node_id()
        self.step = Stepper(asyncio.get_running_loop()).step
        self.connections: set[Connection] = set()
        self.users: Registry[int, Connection] = Registry()
        self.topics: Registry[str, ChannelServer] = Registry()
        self._handlers: dict[str, Callable[[Envelope], None]] = {CONTROL: self._control}

    async def start(self) -> None:
        await self.broker.start(self)
        await self.broker.subscribe(CONTROL)

    # Connections

    def connected(self, connection: Connection) -> None:
        self.connections.add(connection)
        self.users.add(connection.identity.user_id, connection)

    def disconnected(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.users.remove(connection.identity.user_id, connection)

    def disconnect(self, user_id: int, session_id: str | None = None) -> None:
        """Close a user's connections with 1001, on every node; with a session, only those of that session."""
        payload = {"user_id": user_id, "session_id": session_id}
        self._disconnect_here(payload)
        self.broker.publish(CONTROL, pack(Broadcast.of(CONTROL, DISCONNECT, payload).envelope(self.node_id)))

    def _disconnect_here(self, payload: dict[str, Any]) -> None:
        for connection in self.users.members(payload["user_id"]):
            if payload["session_id"] in (None, connection.identity.session_id):
                connection.close(GOING_AWAY, "disconnected")

    # Topics

    async def subscribe(self, server: ChannelServer) -> None:
        """Returns when every later message on the topic reaches the channel. Raises TimeoutError."""
        await self.broker.subscribe(server.topic)
        self.topics.add(server.topic, server)

    def unsubscribe(self, server: ChannelServer) -> None:
        self.topics.remove(server.topic, server)
        self.broker.unsubscribe(server.topic)

    def broadcast(self, topic: str, event: str, payload: Any, sender: ChannelServer | None = None) -> None:
        """To all members on all nodes, but not to the sender where one is given. Local members have it on return."""
        broadcast = Broadcast.of(topic, event, payload)
        self.deliver(broadcast, sender)
        self.broker.publish(topic, pack(broadcast.envelope(self.node_id)))

    def deliver(self, broadcast: Broadcast, sender: ChannelServer | None = None) -> None:
        """To the members on this node only."""
        for server in self.topics.members(broadcast.topic):
            if server is not sender:
                server.deliver_broadcast(broadcast)

    # From the broker

    def receive(self, topic: str, data: bytes) -> None:
        try:
            envelope = unpack(data)
        except BadEnvelope as error:
            logger.warning("bad envelope", extra={"topic": topic, "error": str(error)})
            return
        if envelope.node == self.node_id:
            return
        handler = self._handlers.get(topic)
        if handler is not None:
            handler(envelope)
        else:
            self.deliver(Broadcast.from_envelope(topic, envelope))

    def link_restored(self) -> None:
        logger.info("link to redis restored")

    def _control(self, envelope: Envelope) -> None:
        broadcast = Broadcast.from_envelope(CONTROL, envelope)
        if envelope.event == DISCONNECT:
            self._disconnect_here(broadcast.value())
        elif envelope.event == CATCH_UP:
            self.link_restored()
