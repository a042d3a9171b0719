"""The broker on a Redis Cluster: sharded pub/sub, one link for each master, each topic on the master of its hash slot.

Each link keeps the promises of redis.py. This module decides where a topic lives. When a master fails over or a slot
moves, it subscribes the affected topics again on the new master, and reports the gap. While a slot has no master,
messages for its topics wait, as they do while a single Redis is away.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from shared.logs import log_of
from shared.pubsub.broker import Receiver
from shared.pubsub.cluster_layout import ClusterLayout
from shared.pubsub.redis import ClusterHooks, RedisBroker
from shared.redis import Address, ClusterServers
from shared.settings import Settings

log = log_of(__name__)

_WATCH_SECONDS = 0.5
"""How often the broker asks for the masters while a link is away or a slot has no master."""
_CALM_SECONDS = 15.0
"""How often it asks otherwise. A broken link and a moved slot make it ask at once."""
_PAUSE_SECONDS = 0.05
"""The least time between two such questions."""


class _Topic:
    """A topic: how many callers on this node want it, where it is subscribed, and since when it is deaf."""

    __slots__ = ("broker", "confirmed", "count", "deaf_since")

    def __init__(self) -> None:
        self.count = 0
        self.broker: RedisBroker | None = None
        self.confirmed = asyncio.Event()
        """Set while it is subscribed on its master."""
        self.deaf_since: float | None = None
        """Loop time since which messages are missed; None while confirmed, and before the first confirmation."""


class RedisClusterBroker(ClusterHooks):
    """A broker on the Redis Cluster in `settings.redis_url` (`redis+cluster://`, `rediss+cluster://`)."""

    server = "redis"

    def __init__(self, settings: Settings, node_id: str = "") -> None:
        self._settings = settings
        self._node_id = node_id
        self._prefix = settings.redis_prefix.encode()
        self._timeout = settings.redis_timeout_seconds
        self._cluster = ClusterServers(settings.redis_url)
        self._servers: list[Address] = [self._cluster.named]
        """Servers to ask for the masters, in this order; the first answer counts."""
        self._layout = ClusterLayout()
        self._loop = asyncio.get_running_loop()
        self._receiver: Receiver | None = None
        self._brokers: dict[Address, RedisBroker] = {}
        self._topics: dict[str, _Topic] = {}
        self._deaf: set[str] = set()
        """The topics whose `deaf_since` is set."""
        self._missed_since: float | None = None
        """The earliest `deaf_since` of topics that are heard again, not yet reported."""
        self._reporting: asyncio.TimerHandle | None = None
        self._homeless: deque[tuple[str, bytes]] = deque()
        """Messages whose slot has no master."""
        self._homeless_since = 0.0
        """Loop time since which there are such messages."""
        self._lost_since: float | None = None
        """Loop time. What was published since then may be lost; not yet reported to the receiver."""
        self._look_wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # The Broker's side

    @property
    def connected(self) -> bool:
        return self._layout.is_complete and all(broker.connected for broker in self._brokers.values())

    @property
    def unpublished(self) -> int:
        return len(self._homeless) + sum(broker.unpublished for broker in self._brokers.values())

    async def start(self, receiver: Receiver | None) -> None:
        self._receiver = receiver
        try:
            async with asyncio.timeout(self._timeout):
                await self._look()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("redis cluster is away at start; retrying", error=str(error))
        self._task = asyncio.create_task(self._watch(), name="redis cluster broker")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._reporting is not None:
            self._reporting.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(broker.stop() for broker in self._brokers.values()))

    async def subscribe(self, topic: str) -> None:
        entry = self._topics.get(topic)
        if entry is None:
            entry = self._topics[topic] = _Topic()
        entry.count += 1
        if entry.confirmed.is_set() and entry.broker is not None and entry.broker.connected:
            return
        if entry.broker is None:
            self._place(topic, entry)
        try:
            async with asyncio.timeout(self._settings.subscribe_timeout_seconds):
                await self._until_heard(topic, entry)
        except (TimeoutError, asyncio.CancelledError):
            self.unsubscribe(topic)
            raise

    async def _until_heard(self, topic: str, entry: _Topic) -> None:
        """Returns when the topic is confirmed on a link that is up: a confirmed topic may have lost its link."""
        while True:
            await entry.confirmed.wait()
            broker = entry.broker
            assert broker is not None, "confirmed without a broker"
            try:
                await broker.subscribe(topic)
            except TimeoutError:
                continue
            broker.unsubscribe(topic)
            if entry.broker is broker:
                return

    def unsubscribe(self, topic: str) -> None:
        entry = self._topics.get(topic)
        if entry is None:
            return
        entry.count -= 1
        if not entry.count:
            del self._topics[topic]
            self._deaf.discard(topic)
            # If it is not confirmed, `_subscribe` undoes its own subscription.
            if entry.broker is not None and entry.confirmed.is_set():
                entry.broker.unsubscribe(topic)

    def publish(self, topic: str, data: bytes) -> None:
        broker = self._broker_of(topic)
        if broker is not None:
            broker.publish(topic, data)
            return
        if not self._homeless:
            self._homeless_since = self._loop.time()
        elif len(self._homeless) >= self._settings.max_publish_queue:
            self._homeless.popleft()
            self._lose(self._homeless_since)
        self._homeless.append((topic, data))

    # Who is master of what

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_CALM_SECONDS if self.connected else _WATCH_SECONDS):
                    await self._look_wanted.wait()
            except TimeoutError:
                pass
            self._look_wanted.clear()
            try:
                async with asyncio.timeout(self._timeout * 2):
                    await self._look()
                await asyncio.sleep(_PAUSE_SECONDS)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("redis cluster is away", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(_WATCH_SECONDS)
            except Exception:
                # A fault in this module must end one round, not all later ones.
                log.exception("looking at the redis cluster failed")
                await asyncio.sleep(_WATCH_SECONDS)

    async def _look(self) -> None:
        """Ask for the masters, and move links, topics and waiting messages to where they belong."""
        self._layout = await self._ask()
        masters = self._layout.masters
        new = {address: self._link_to(address) for address in masters - self._brokers.keys()}
        gone = [self._brokers.pop(address) for address in self._brokers.keys() - masters]
        self._brokers.update(new)
        # Nothing is awaited before the starts: messages keep their order, and no caller sees a half-moved topic.
        self._publish_again([message for broker in gone for message in broker.abandon()])
        for topic, entry in list(self._topics.items()):
            if entry.broker is not self._broker_of(topic):
                self._move(topic, entry)
        if new or gone:
            log.info("redis cluster has changed", masters=len(masters))
        await asyncio.gather(*(broker.start(self) for broker in new.values()), *(broker.stop() for broker in gone))
        for broker in gone:
            if broker.lost_since is not None:
                self._lose(broker.lost_since)
        self._report_loss()

    async def _ask(self) -> ClusterLayout:
        """Returns the layout from the first server that has one. Raises RedisError, OSError or TimeoutError."""
        error: Exception = RedisConnectionError("no server of the cluster is known")
        for address in list(self._servers):
            try:
                async with self._cluster.client(address, self._timeout / 2) as client:
                    answer = await client.execute_command("CLUSTER SHARDS")  # type: ignore[no-untyped-call]
            except (RedisError, OSError, TimeoutError) as reason:
                error = reason
                continue
            layout = ClusterLayout(answer, address[0])
            if layout.masters:
                # Ask this server first next time. Servers that were once known are kept.
                self._servers = list(dict.fromkeys([address, *layout.servers, *self._servers]))
                return layout
        raise error

    def _link_to(self, address: Address) -> RedisBroker:
        connect = self._cluster.links(address, f"daveslist-{self._node_id}")
        return RedisBroker(replace(self._settings, redis_url=""), self._node_id, connect=connect, hooks=self)

    # Where topics and messages live

    def _broker_of(self, topic: str) -> RedisBroker | None:
        address = self._layout.master_of(self._prefix + topic.encode())
        return None if address is None else self._brokers.get(address)

    def _place(self, topic: str, entry: _Topic) -> None:
        """Subscribe the topic on its current master, if it has one."""
        broker = entry.broker = self._broker_of(topic)
        if broker is not None:
            task = self._loop.create_task(self._subscribe(topic, entry, broker))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _subscribe(self, topic: str, entry: _Topic, broker: RedisBroker) -> None:
        while entry.broker is broker and self._topics.get(topic) is entry:
            try:
                await broker.subscribe(topic)
            except TimeoutError:
                continue
            if entry.broker is broker and self._topics.get(topic) is entry:
                self._heard_again(topic, entry)
            else:
                broker.unsubscribe(topic)
            return

    def _move(self, topic: str, entry: _Topic) -> None:
        """The topic has a new master, or none."""
        if entry.broker is not None and entry.confirmed.is_set():
            entry.broker.unsubscribe(topic)
            self._deaf_to(topic, entry, entry.broker.complete_until)
        self._place(topic, entry)

    def _publish_again(self, unsent: list[tuple[str, bytes]]) -> None:
        """Publish again the messages that a lost master did not get, and those that had no master."""
        waiting = [*self._homeless, *unsent]
        self._homeless.clear()
        for topic, data in waiting:
            self.publish(topic, data)

    # Gaps and losses

    def _deaf_to(self, topic: str, entry: _Topic, since: float) -> None:
        entry.confirmed.clear()
        entry.deaf_since = since
        self._deaf.add(topic)

    def _heard_again(self, topic: str, entry: _Topic) -> None:
        entry.confirmed.set()
        if entry.deaf_since is not None:
            self._missed_since = (
                entry.deaf_since if self._missed_since is None else min(self._missed_since, entry.deaf_since)
            )
            entry.deaf_since = None
            self._deaf.discard(topic)
            self._report_gap_soon()

    def _report_gap_soon(self) -> None:
        """Report once for all topics that come back together. A topic that stays deaf delays it only briefly."""
        if not self._deaf:
            self._report_gap()
        elif self._reporting is None:
            self._reporting = self._loop.call_later(self._timeout, self._report_gap)

    def _report_gap(self) -> None:
        if self._reporting is not None:
            self._reporting.cancel()
            self._reporting = None
        if self._missed_since is not None:
            seconds, self._missed_since = self._loop.time() - self._missed_since, None
            self.link_restored(seconds)

    def _lose(self, since: float) -> None:
        self._lost_since = since if self._lost_since is None else min(self._lost_since, since)

    def _report_loss(self) -> None:
        if self._lost_since is not None and self._layout.is_complete:
            seconds, self._lost_since = self._loop.time() - self._lost_since, None
            self.messages_lost(seconds)

    # What the links tell

    def look_again(self) -> None:
        self._look_wanted.set()

    def slot_moved(self, owner: Address) -> None:
        # The owner learns first what it owns.
        self._servers = list(dict.fromkeys([owner, *self._servers]))
        self._look_wanted.set()

    def topic_ended(self, broker: RedisBroker, topic: str) -> None:
        entry = self._topics.get(topic)
        if entry is None or entry.broker is not broker:
            return
        if entry.confirmed.is_set():
            self._deaf_to(topic, entry, broker.complete_until)
        entry.broker = None
        self._look_wanted.set()

    # What the links receive

    def receive(self, topic: str, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.receive(topic, data)

    def link_restored(self, away_seconds: float) -> None:
        if self._receiver is not None:
            self._receiver.link_restored(away_seconds)

    def messages_lost(self, seconds: float) -> None:
        if self._receiver is not None:
            self._receiver.messages_lost(seconds)
