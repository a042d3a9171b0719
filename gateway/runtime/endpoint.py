"""The node: its connections, who joined what, and its link to the other nodes.

A broadcast reaches the members on this node directly, and those on other nodes through the broker; its echo, which
the broker brings back, is known by the node's id and dropped.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from gateway.channel import Channel, Notice
from gateway.presence.store import Store
from gateway.presence.store_memory import MemoryStore
from gateway.presence.tracker import PRESENCE_DIFF, Tracker
from gateway.protocol.close_codes import GOING_AWAY, SERVICE_RESTART, TRY_AGAIN_LATER
from gateway.protocol.topics import TopicRoutes
from gateway.runtime.broadcast import Broadcast
from gateway.runtime.channel_server import ChannelServer
from gateway.runtime.connection import Connection
from gateway.runtime.counts import Counts
from gateway.runtime.registry import Registry
from gateway.runtime.stepping import Stepper
from shared.events import control
from shared.events.envelope import BadEnvelope, Envelope, json_payload, pack, unpack
from shared.pubsub.broker import Broker
from shared.settings import Settings

logger = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
_PROBE = "probe"
"""A message of a node to itself, over Redis."""

DRAIN_STEPS = 20
"""In how many batches a stopping node closes its connections."""
_LATELY_SECONDS = 60.0
"""Longer than anyone takes from the look at a user to an open connection."""
FINISH_SECONDS = 5.0
"""How long a stopping node waits for what a connection's channels are doing."""


class Leaving(Protocol):
    """A connection behind its close frame."""

    ended: asyncio.Future[None]

    @property
    def unread_bytes(self) -> int: ...
    def cut(self) -> None: ...


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
        presence_store: Store | None = None,
    ) -> None:
        self.settings = settings
        self.routes = routes
        self.broker = broker
        self.context = context
        self.node_id = node_id or new_node_id()
        self.step = Stepper(asyncio.get_running_loop()).step
        self.connections: set[Connection] = set()
        self.connection_numbers = itertools.count(1)
        self.users: Registry[int, Connection] = Registry()
        self.topics: Registry[str, ChannelServer] = Registry()
        self.presence = Tracker(
            self.node_id,
            presence_store or MemoryStore(),
            self,
            lease_seconds=settings.presence_lease_seconds,
            load_seconds=settings.presence_load_seconds,
        )
        self.is_draining = False
        self.counts = Counts()
        self._on_probe: Callable[[float], None] | None = None
        self._next_probe = 0.0
        self._next_gap: float | None = None
        self._lately: deque[tuple[float, int, str | None, str | None]] = deque()
        """Disconnects and role changes: when, of which user, and of which session, or which role it is now."""
        self._handlers: dict[str, Callable[[Envelope], None]] = {control.CONTROL: self._control}
        self._gap_listeners: list[Callable[[float], None]] = []
        self._delivery_listeners: dict[str, Callable[[Broadcast], None]] = {}
        self._on_drain: list[Callable[[], None]] = []
        self._leaving: set[Leaving] = set()

    async def start(self) -> None:
        await self.broker.start(self)
        self._control_task = asyncio.create_task(self._subscribe_control())
        await self.presence.start()
        self._check_connections()

    async def _subscribe_control(self) -> None:
        while True:
            try:
                return await self.broker.subscribe(control.CONTROL)
            except TimeoutError:
                logger.warning("not subscribed to what nodes tell each other; trying on")

    def _check_connections(self) -> None:
        """One timer for all connections: one for each would cost more than this."""
        loop = asyncio.get_running_loop()
        self._checking = loop.call_later(min(1.0, self.settings.idle_seconds / 4), self._check_connections)
        now = loop.time()
        behind: list[tuple[int, Connection]] = []
        for connection in list(self.connections):
            connection.check(now)
            if outbox_bytes := connection.outbox_bytes:
                behind.append((outbox_bytes, connection))
        self._bound_outboxes(behind)
        if self._on_probe is not None and now >= self._next_probe and self.broker.connected:
            self._next_probe = now + PROBE_SECONDS
            self.publish(control.CONTROL, _PROBE, json_payload(now))
        self._bridge_gap(now)

    def _bound_outboxes(self, behind: list[tuple[int, Connection]]) -> None:
        """Many slow readers, each within its own limit, must not take all memory either."""
        total = sum(outbox_bytes for outbox_bytes, _ in behind) + sum(one.unread_bytes for one in self._leaving)
        limit = self.settings.max_total_outbox_bytes
        if total <= limit:
            return
        # Those who were told to go have had their chance.
        for leaving in sorted(self._leaving, key=lambda one: one.unread_bytes, reverse=True):
            if total <= limit:
                return
            total -= leaving.unread_bytes
            leaving.cut()
        for outbox_bytes, connection in sorted(behind, key=lambda one: one[0], reverse=True):
            if total <= limit:
                break
            total -= outbox_bytes
            self.counts.slow_clients += 1
            logger.info("slow client closed", extra={"fields": connection.log_fields})
            connection.close(TRY_AGAIN_LATER, "too slow")

    def _bridge_gap(self, now: float) -> None:
        """While nothing is heard of the other nodes, look for it again and again: Redis may be away for hours."""
        if self.broker.connected:
            self._next_gap = None
        elif self._next_gap is None or now >= self._next_gap:
            every = self.settings.away_catch_up_seconds
            self._next_gap = now + every
            # A link is silent for some time before it is known to be away.
            self.gap(every + 2 * self.settings.redis_timeout_seconds)

    async def stop(self) -> None:
        """After `drain`. Takes this node's presence away, and sends what is queued."""
        self._checking.cancel()
        self._control_task.cancel()
        await self.presence.stop()
        await self.broker.stop()

    def on_gap(self, listener: Callable[[float], None]) -> None:
        """Call the listener whenever messages of other nodes, of the last so many seconds, may have been missed."""
        self._gap_listeners.append(listener)

    def on_delivery(self, event: str, listener: Callable[[Broadcast], None]) -> None:
        """Call the listener with each broadcast of this event that has members here."""
        self._delivery_listeners[event] = listener

    def on_drain(self, listener: Callable[[], None]) -> None:
        """Call the listener when this node begins to stop."""
        self._on_drain.append(listener)

    def on_probe(self, listener: Callable[[float], None]) -> None:
        """Call the listener, every second, with the seconds that a message takes to Redis and back."""
        self._on_probe = listener

    def handle_topic(self, topic: str, handler: Callable[[Envelope], None]) -> None:
        """Give what other nodes publish on a topic, that no client can join, to a handler of this node."""
        self._handlers[topic] = handler

    async def drain(self) -> None:
        """Close all connections with 1012, in batches over `drain_seconds`, so that they do not all come back at once.

        What a channel is doing is finished and answered before its connection is closed. No new connection is taken
        from the first moment on.
        """
        self.is_draining = True
        for listener in self._on_drain:
            listener()
        connections = list(self.connections)
        random.shuffle(connections)
        size = -(-len(connections) // DRAIN_STEPS)
        for start in range(0, len(connections), size or 1):
            await asyncio.gather(*(self._release(connection) for connection in connections[start : start + size]))
            if start + size < len(connections):
                await asyncio.sleep(self.settings.drain_seconds / DRAIN_STEPS)
        # Those who read slowly are cut within `close_seconds`.
        while self._leaving:
            await asyncio.wait([leaving.ended for leaving in self._leaving])
            await asyncio.sleep(0)

    async def farewell(self, leaving: Leaving) -> None:
        """Returns when a connection that was closed has ended. Until then, what waits for its client counts."""
        self._leaving.add(leaving)
        try:
            # Whoever waits may be cancelled; the connection ends by itself.
            await asyncio.shield(leaving.ended)
        except asyncio.CancelledError:
            leaving.cut()
            raise
        finally:
            self._leaving.discard(leaving)

    @staticmethod
    async def _release(connection: Connection) -> None:
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                await connection.at_rest()
        except TimeoutError:
            pass
        connection.close(SERVICE_RESTART, "restarting")

    # Connections

    def connected(self, connection: Connection) -> None:
        self._log("connected", connection)
        self.connections.add(connection)
        self.users.add(connection.identity.user_id, connection)
        self.identified(connection)
        if self.is_draining:
            connection.close(SERVICE_RESTART, "restarting")

    @staticmethod
    def _log(event: str, connection: Connection) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(event, extra={"fields": connection.log_fields})

    def identified(self, connection: Connection) -> None:
        """The connection has an identity: what happened to it since it was looked up takes effect now."""
        identity = connection.identity
        for at, user_id, session_id, role in self._lately:
            if at >= identity.as_of and user_id == identity.user_id:
                if role is not None:
                    identity.role = role
                elif session_id in (None, identity.session_id):
                    connection.close(GOING_AWAY, "disconnected")

    def _remember(self, user_id: int, *, session_id: str | None = None, role: str | None = None) -> None:
        now = asyncio.get_running_loop().time()
        while self._lately and self._lately[0][0] < now - _LATELY_SECONDS:
            self._lately.popleft()
        self._lately.append((now, user_id, session_id, role))

    def disconnected(self, connection: Connection) -> None:
        self._log("disconnected", connection)
        self.counts.disconnects += 1
        self.connections.discard(connection)
        self.users.remove(connection.identity.user_id, connection)

    def disconnect(self, user_id: int, session_id: str | None = None) -> None:
        """Close a user's connections with 1001, on every node; with a session, only those of that session."""
        payload = control.disconnect(user_id, session_id)
        self._disconnect_here(payload)
        notice = Broadcast.of(control.CONTROL, control.DISCONNECT, payload)
        self.broker.publish(control.CONTROL, pack(notice.envelope(self.node_id)))

    def _disconnect_here(self, payload: dict[str, Any]) -> None:
        self._remember(payload["user_id"], session_id=payload["session_id"])
        for connection in self.users.members(payload["user_id"]):
            if payload["session_id"] in (None, connection.identity.session_id):
                connection.close(GOING_AWAY, "disconnected")

    # Topics

    async def subscribe(self, server: ChannelServer) -> None:
        """Returns when every later message on the topic reaches the channel. Raises TimeoutError."""
        await self.broker.subscribe(server.topic)
        if server.channel.tracks_presence:
            try:
                await self.presence.topic_joined(server.topic)
            except BaseException:
                self.broker.unsubscribe(server.topic)
                raise
        self.topics.add(server.topic, server)

    def unsubscribe(self, server: ChannelServer) -> None:
        self.topics.remove(server.topic, server)
        self.broker.unsubscribe(server.topic)
        if server.channel.tracks_presence:
            self.presence.owner_gone(server)
            self.presence.topic_left(server.topic)

    def broadcast(self, topic: str, event: str, payload: Any, sender: ChannelServer | None = None) -> None:
        """To all members on all nodes, but not to the sender where one is given. Local members have it on return."""
        self.counts.broadcasts += 1
        broadcast = Broadcast.of(topic, event, payload)
        self.deliver(broadcast, sender)
        self.broker.publish(topic, pack(broadcast.envelope(self.node_id)))

    def broadcast_to_all(self, topics: Iterable[str], event: str, payload: Any) -> None:
        """As broadcast, to each of several topics; the payload is encoded once."""
        self.counts.broadcasts += 1
        encoded = Broadcast.of("", event, payload)
        envelope = pack(encoded.envelope(self.node_id))
        for topic in topics:
            self.deliver(Broadcast(topic, event, encoded.payload, encoded.is_binary))
            self.broker.publish(topic, envelope)

    def deliver(self, broadcast: Broadcast, sender: ChannelServer | None = None) -> None:
        """To the members on this node only."""
        members = self.topics.members(broadcast.topic)
        if not members:
            return
        listener = self._delivery_listeners.get(broadcast.event)
        if listener is not None:
            listener(broadcast)
        for server in members:
            if server is not sender:
                server.deliver_broadcast(broadcast)

    # From the broker

    def receive(self, topic: str, data: bytes) -> None:
        try:
            envelope = unpack(data)
        except BadEnvelope as error:
            logger.warning("bad envelope", extra={"fields": {"topic": topic, "error": str(error)}})
            return
        if envelope.node == self.node_id:
            if envelope.event == _PROBE and topic == control.CONTROL and self._on_probe is not None:
                self._on_probe(asyncio.get_running_loop().time() - float(envelope.payload))
            return
        self.counts.received += 1
        handler = self._handlers.get(topic)
        if handler is not None:
            handler(envelope)
        elif envelope.event == PRESENCE_DIFF:
            self.presence.receive(topic, envelope.node, envelope.payload)
        else:
            self.deliver(Broadcast.from_envelope(topic, envelope))

    def link_restored(self, away_seconds: float) -> None:
        self.presence.link_restored()
        self.gap(away_seconds)

    def messages_lost(self, seconds: float) -> None:
        """Other nodes may lack what this one published: have them read it from Postgres."""
        self.publish(control.CONTROL, control.CATCH_UP, json_payload(control.catch_up(seconds)))

    def gap(self, seconds: float) -> None:
        """Broadcasts of other nodes, of the last so many seconds, may have been missed."""
        for listener in self._gap_listeners:
            listener(seconds)
        self._notify(Notice(control.CATCH_UP, control.catch_up(seconds)))

    # The presence tracker's outlet

    def broadcast_local(self, topic: str, event: str, payload: dict[str, Any]) -> None:
        self.deliver(Broadcast.of(topic, event, payload))

    def publish(self, topic: str, event: str, payload: bytes) -> None:
        self.broker.publish(topic, pack(Envelope(self.node_id, event, payload)))

    def _control(self, envelope: Envelope) -> None:
        payload = Broadcast.from_envelope(control.CONTROL, envelope).value()
        match envelope.event:
            case control.DISCONNECT:
                self._disconnect_here(payload)
            case control.ROLE_CHANGED:
                self.role_changed_here(payload["user_id"], payload["role"])
            case control.CATCH_UP:
                self.gap(payload["seconds"])
            case control.CATEGORY_CHANGED | control.SELLER_CHANGED:
                self._notify(Notice(envelope.event, payload))

    def role_changed_here(self, user_id: int, role: str) -> None:
        """Have the channels of a user on this node look again at what the user may see."""
        self._remember(user_id, role=role)
        notice = Notice(control.ROLE_CHANGED, control.role_changed(user_id, role))
        for connection in self.users.members(user_id):
            connection.identity.role = role
            for joined in list(connection.session.topics.values()):
                if joined.channel is not None and joined.route.watches_access:
                    joined.channel.send_info(notice)

    def _notify(self, notice: Notice) -> None:
        """Tell all channels on this node that watch whether their users may stay."""
        for topic in self.topics:
            for server in self.topics.members(topic):
                if server.joined.route.watches_access:
                    server.send_info(notice)
