"""The node: which channels have joined which topics on it, and its link to the other nodes.

A broadcast reaches members on this node directly, and members on other nodes through the broker. The broker also brings
it back; the node recognizes it by its own id and drops it. Everything on the broker is sealed, and a message without a
right seal is dropped. What another process says of a user's rights is only a reason to ask Postgres.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from gateway.presence.store import Store
from gateway.presence.store_memory import MemoryStore
from gateway.presence.tracker import PRESENCE_DIFF, Tracker
from gateway.protocol.topics import TopicRoutes
from gateway.runtime.allowance import Allowances
from gateway.runtime.broadcast import Broadcast
from gateway.runtime.callbacks import Callbacks, Notice
from gateway.runtime.counts import Counts
from gateway.runtime.looks import Looks
from gateway.runtime.registry import Registry, Subscriber
from gateway.runtime.roster import Roster
from gateway.runtime.stepping import Stepper
from shared import tracing
from shared.access.seal import NotSealed, Seal
from shared.events import control
from shared.events.envelope import SEALED_FOR, BadEnvelope, Envelope, beginning_of, json_payload, pack, unpack
from shared.events.formats import LaterFormat
from shared.events.topics import kind_of
from shared.logs import log_of
from shared.pubsub.broker import Broker
from shared.security_events import SecurityEvents
from shared.settings import Settings

log = log_of(__name__)

PROBE_SECONDS = 1.0
_PROBE = "probe"
"""A message of a node to itself over the broker."""


def new_node_id() -> str:
    """Returns a random id for this node."""
    return secrets.token_hex(8)


class Endpoint:
    """Each process has one. Use it only from the event loop that made it."""

    def __init__(
        self,
        settings: Settings,
        routes: TopicRoutes[type[Callbacks]],
        broker: Broker,
        *,
        context: Any = None,
        node_id: str | None = None,
        presence_store: Store | None = None,
        may_join: Callable[[int], bool] | None = None,
    ) -> None:
        """`may_join` is called with the user's id at each join; it returns False to refuse the join."""
        self.settings = settings
        self.routes = routes
        self.broker = broker
        self.context = context
        self.may_join = may_join
        self.node_id = node_id or new_node_id()
        self.tracing = tracing.active()
        step = Stepper(asyncio.get_running_loop()).step
        self.step = step if self.tracing is None else self.tracing.alone(step)
        self.looks = Looks(self.step)
        self.topics: Registry[str, Subscriber] = Registry()
        self.channels = 0
        """The number of joined channels on this node."""
        self.presence = Tracker(
            self.node_id,
            presence_store or MemoryStore(),
            self,
            lease_seconds=settings.presence_lease_seconds,
            load_seconds=settings.presence_load_seconds,
            diff_limit=(settings.presence_diffs_per_second, settings.presence_diff_burst),
            most_of_key=settings.max_presences_per_user,
            most_listed=settings.max_listed_presences,
        )
        self.counts = Counts()
        self.counts.expect(channel.__name__ for channel in routes.targets)
        self.security_events = SecurityEvents()
        self.allowances = Allowances(settings)
        self.connections = Roster(settings, self.counts)
        self._on_probe: Callable[[float], None] | None = None
        self._on_report: Callable[[dict[str, Any]], None] | None = None
        self._next_gap: float | None = None
        self._seal = Seal.of(settings, SEALED_FOR)
        self._own_beginning = beginning_of(self.node_id)
        self._handlers: dict[str, Callable[[Envelope], None]] = {control.CONTROL: self._control}
        self._gap_listeners: list[Callable[[float], None]] = []
        self._delivery_listeners: dict[str, Callable[[Broadcast], bool]] = {}
        self._on_drain: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Start the broker, presence and the regular checks."""
        await self.broker.start(self)
        self._control_task = asyncio.create_task(self._subscribe_control())
        await self.presence.start()
        self.connections.start()
        self._watch()

    async def _subscribe_control(self) -> None:
        while True:
            try:
                return await self.broker.subscribe(control.CONTROL)
            except TimeoutError:
                log.warning("messages between nodes are not subscribed yet; retrying")

    def _watch(self) -> None:
        """Check the link to the other nodes, once a second."""
        loop = asyncio.get_running_loop()
        self._watching = loop.call_later(PROBE_SECONDS, self._watch)
        now = loop.time()
        if self._on_probe is not None and self.broker.connected:
            self.publish(control.CONTROL, _PROBE, json_payload(now))
        self._bridge_gap(now)

    def _bridge_gap(self, now: float) -> None:
        """While this node has no link to the others, report a gap repeatedly: the broker may be away for hours."""
        if self.broker.connected:
            self._next_gap = None
        elif self._next_gap is None or now >= self._next_gap:
            every = self.settings.away_catch_up_seconds
            self._next_gap = now + every
            # A link is silent for some time before it is known to be down.
            self.gap(every + 2 * self.settings.redis_timeout_seconds)

    async def stop(self) -> None:
        """Call this after `drain`. It removes this node's presence, and publishes the queued broadcasts."""
        self.connections.stop()
        self._watching.cancel()
        self._control_task.cancel()
        await self.presence.stop()
        await self.broker.stop()

    def on_gap(self, listener: Callable[[float], None]) -> None:
        """Call `listener(seconds)` whenever broadcasts of other nodes in the last `seconds` may have been missed."""
        self._gap_listeners.append(listener)

    def on_delivery(self, event: str, listener: Callable[[Broadcast], bool]) -> None:
        """Ask the listener whether to deliver a broadcast of this event, each time that it has members here."""
        self._delivery_listeners[event] = listener

    def on_drain(self, listener: Callable[[], None]) -> None:
        """Call the listener when this node begins to stop."""
        self._on_drain.append(listener)

    def on_probe(self, listener: Callable[[float], None]) -> None:
        """Call the listener every second with the seconds that a message has taken to the broker and back."""
        self._on_probe = listener

    def on_report(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """Call the listener with the payload when another node asks for a report (`control.REPORT`)."""
        self._on_report = listener

    def handle_topic(self, topic: str, handler: Callable[[Envelope], None]) -> None:
        """Pass other nodes' messages on a topic to a handler of this node. No client can join such a topic."""
        self._handlers[topic] = handler

    @property
    def is_draining(self) -> bool:
        """True while this node is stopping."""
        return self.connections.is_draining

    async def drain(self) -> None:
        """Close all connections, as `Roster.drain` does. New connections are closed at once from now on."""
        self.connections.is_draining = True
        for listener in self._on_drain:
            listener()
        await self.connections.drain()

    def disconnect(self, user_id: int, session_id: str | None = None) -> None:
        """Close a user's connections, or only those of one session, with 1001 on every node."""
        self.connections.disconnect(user_id, session_id)
        notice = Broadcast.of(control.CONTROL, control.DISCONNECT, control.disconnect(user_id, session_id))
        self.send(control.CONTROL, notice.envelope(self.node_id))

    # Topics

    async def subscribe(self, subscriber: Subscriber) -> None:
        """Returns when every later message on the topic will reach the subscriber. Raises TimeoutError."""
        await self.broker.subscribe(subscriber.topic)
        if subscriber.tracks_presence:
            try:
                await self.presence.topic_joined(subscriber.topic)
            except BaseException:
                self.broker.unsubscribe(subscriber.topic)
                raise
        self.topics.add(subscriber.topic, subscriber)
        self.channels += 1

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Undo `subscribe`, and remove the subscriber's presence."""
        self.topics.remove(subscriber.topic, subscriber)
        self.channels -= 1
        self.broker.unsubscribe(subscriber.topic)
        if subscriber.tracks_presence:
            self.presence.owner_gone(subscriber)
            self.presence.topic_left(subscriber.topic)

    def broadcast(self, topic: str, event: str, payload: Any, sender: Subscriber | None = None) -> None:
        """Send an event to all members on all nodes except the sender. Members on this node have it on return."""
        self.counts.broadcasts += 1
        broadcast = Broadcast.of(topic, event, payload)
        envelope = broadcast.envelope(self.node_id)
        if self.tracing is not None:
            envelope = envelope._replace(trace=self.tracing.publish(kind_of([topic]), event))
        # First, so that it is on its way while this node writes to its own members.
        self.send(topic, envelope)
        self.deliver(broadcast, sender)

    def broadcast_to_all(self, topics: Iterable[str], event: str, payload: Any) -> None:
        """Like `broadcast`, to each of several topics; the payload is encoded once."""
        self.counts.broadcasts += 1
        encoded = Broadcast.of("", event, payload)
        envelope = encoded.envelope(self.node_id)
        if self.tracing is not None:
            topics = tuple(topics)
            envelope = envelope._replace(trace=self.tracing.publish(kind_of(topics), event))
        packed = pack(envelope)
        for topic in topics:
            self.broker.publish(topic, self._seal.sealed(topic, packed))
            self.deliver(Broadcast(topic, event, encoded.payload, encoded.is_binary))

    def deliver(self, broadcast: Broadcast, sender: Subscriber | None = None) -> None:
        """Send a broadcast to the members on this node only."""
        members = self.topics.members(broadcast.topic)
        if not members:
            return
        listener = self._delivery_listeners.get(broadcast.event)
        if listener is not None and not listener(broadcast):
            return
        for subscriber in members:
            if subscriber is not sender:
                subscriber.deliver_broadcast(broadcast)

    # From the broker

    def receive(self, topic: str, data: bytes) -> None:
        """Deliver a sealed envelope, or drop it if this node sent it or if its seal is wrong."""
        if topic != control.CONTROL and data.startswith(self._own_beginning):
            # An echo, or a forgery that would be dropped as well. Its seal need not be checked.
            return
        try:
            envelope = unpack(self._seal.opened(topic, data))
        except (NotSealed, BadEnvelope) as error:
            self.counts.forged.inc()
            log.warning("forged message dropped", topic=topic, error=str(error))
            return
        except LaterFormat as error:
            log.warning("message of a later release dropped", topic=topic, error=str(error))
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
        elif envelope.trace and self.tracing is not None:
            members = len(self.topics.members(topic))
            with self.tracing.delivery(envelope.trace, kind_of([topic]), envelope.event, members):
                self.deliver(Broadcast.from_envelope(topic, envelope))
        else:
            self.deliver(Broadcast.from_envelope(topic, envelope))

    def link_restored(self, away_seconds: float) -> None:
        """The link was away: close the gap, and bring presence up to date."""
        self.presence.link_restored()
        self.gap(away_seconds)

    def messages_lost(self, seconds: float) -> None:
        """Tell other nodes to read Postgres: they may have missed this node's messages of the last `seconds`."""
        self.publish(control.CONTROL, control.CATCH_UP, json_payload(control.catch_up(seconds)))

    def gap(self, seconds: float) -> None:
        """Broadcasts of other nodes in the last `seconds` may have been missed: tell the channels and the listeners."""
        # The channels first: they hold what a listener broadcasts until they know who may have it.
        self._notify(Notice(control.CATCH_UP, control.catch_up(seconds)))
        for listener in self._gap_listeners:
            listener(seconds)

    # The presence tracker's outlet

    def broadcast_local(self, topic: str, event: str, payload: dict[str, Any]) -> None:
        self.deliver(Broadcast.of(topic, event, payload))

    def publish(self, topic: str, event: str, payload: bytes) -> None:
        self.send(topic, Envelope(self.node_id, event, payload))

    def send(self, topic: str, envelope: Envelope) -> None:
        """Publish an envelope of this node to the nodes that subscribe to the topic. Never waits."""
        self.broker.publish(topic, self._seal.sealed(topic, pack(envelope)))

    def _control(self, envelope: Envelope) -> None:
        payload = Broadcast.from_envelope(control.CONTROL, envelope).value()
        match envelope.event:
            case control.DISCONNECT if not self.connections.can_ask:
                kept = payload.get("kept_session_id")
                self.connections.disconnect(payload["user_id"], payload["session_id"], kept_session_id=kept)
            case control.DISCONNECT | control.ROLE_CHANGED | control.STANDING_CHANGED:
                self.connections.recheck(payload["user_id"])
            case control.CATCH_UP:
                self.gap(payload["seconds"])
            case control.CATEGORY_CHANGED | control.SELLER_CHANGED | control.BLOCKS_CHANGED:
                self._notify(Notice(envelope.event, payload))
            case control.REPORT if self._on_report is not None:
                self._on_report(payload)

    def _notify(self, notice: Notice) -> None:
        """Pass the notice to all channels on this node that watch access."""
        for topic in self.topics:
            for subscriber in self.topics.members(topic):
                if subscriber.watches_access:
                    subscriber.notice(notice)
