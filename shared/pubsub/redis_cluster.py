"""The broker on a Redis Cluster: sharded pub/sub, one link for each master, each topic on the master of its hash slot.

Every link keeps the promises of redis.py by itself. What is added here is where a topic lives, and that it moves: when
a master fails over or a slot migrates, its topics are subscribed on the new master, and the receiver is told of a gap.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from shared.events.control import CATCH_UP, CONTROL, catch_up
from shared.events.envelope import Envelope, json_payload, pack
from shared.pubsub.broker import Receiver
from shared.pubsub.cluster_layout import Address, ClusterLayout
from shared.pubsub.redis import RedisBroker, connection_options
from shared.settings import Settings

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 0.5
"""How often the masters are looked at while a link is away; a failover is noticed within this time of its end."""
_CALM_SECONDS = 15.0
"""How often they are looked at otherwise."""

_FAILOVER_SECONDS = 60.0
"""How far back a gap is taken to reach when masters have changed: longer than a failover takes."""


class _Topic:
    """A topic that this node wants: how often, where it is subscribed, and whether it is confirmed there."""

    __slots__ = ("broker", "confirmed", "count")

    def __init__(self) -> None:
        self.count = 0
        self.broker: RedisBroker | None = None
        self.confirmed = asyncio.Event()


class RedisClusterBroker:
    """A Broker over a Redis Cluster, named by a `redis+cluster://` or `rediss+cluster://` URL of any of its servers."""

    def __init__(self, settings: Settings, node_id: str = "") -> None:
        self._settings = settings
        self._node_id = node_id
        self._prefix = settings.redis_prefix.encode()
        self._timeout = settings.redis_timeout_seconds
        scheme, _, rest = settings.redis_url.partition("+cluster://")
        self._options: dict[str, Any] = {**parse_url(f"{scheme}://{rest}"), "db": 0}
        self._layout = ClusterLayout()
        self._servers: list[Address] = [(self._options.get("host", "localhost"), self._options.get("port", 6379))]
        self._receiver: Receiver | None = None
        self._brokers: dict[Address, RedisBroker] = {}
        self._topics: dict[str, _Topic] = {}
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        return bool(self._brokers) and all(broker.connected for broker in self._brokers.values())

    @property
    def unpublished(self) -> int:
        return sum(broker.unpublished for broker in self._brokers.values())

    async def start(self, receiver: Receiver | None) -> None:
        self._receiver = receiver
        try:
            async with asyncio.timeout(self._timeout):
                await self._look()
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("redis cluster is away at start; trying on", extra={"fields": {"error": str(error)}})
        self._task = asyncio.create_task(self._watch(), name="redis cluster broker")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*(broker.stop() for broker in self._brokers.values()))

    async def subscribe(self, topic: str) -> None:
        entry = self._topics.get(topic)
        if entry is None:
            entry = self._topics[topic] = _Topic()
        entry.count += 1
        if entry.confirmed.is_set():
            return
        if entry.broker is None:
            self._settle(topic, entry)
        try:
            async with asyncio.timeout(self._settings.subscribe_timeout_seconds):
                await entry.confirmed.wait()
        except (TimeoutError, asyncio.CancelledError):
            self.unsubscribe(topic)
            raise

    def unsubscribe(self, topic: str) -> None:
        entry = self._topics.get(topic)
        if entry is None:
            return
        entry.count -= 1
        if not entry.count:
            del self._topics[topic]
            if entry.broker is not None:
                entry.broker.unsubscribe(topic)

    def publish(self, topic: str, data: bytes) -> None:
        broker = self._broker_of(topic)
        if broker is not None:
            broker.publish(topic, data)

    # Where topics live

    def _broker_of(self, topic: str) -> RedisBroker | None:
        address = self._layout.master_of(self._prefix + topic.encode())
        return None if address is None else self._brokers.get(address)

    def _settle(self, topic: str, entry: _Topic) -> None:
        """Subscribe the topic on the master that it belongs to now."""
        broker = entry.broker = self._broker_of(topic)
        if broker is not None:
            task = asyncio.get_running_loop().create_task(self._subscribe(topic, entry, broker))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _subscribe(self, topic: str, entry: _Topic, broker: RedisBroker) -> None:
        while entry.broker is broker and self._topics.get(topic) is entry:
            try:
                await broker.subscribe(topic)
            except TimeoutError:
                continue
            if entry.broker is broker and self._topics.get(topic) is entry:
                entry.confirmed.set()
            else:
                broker.unsubscribe(topic)
            return

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_CALM_SECONDS if self.connected else _WATCH_SECONDS):
                    await self._moved.wait()
            except TimeoutError:
                pass
            self._moved.clear()
            try:
                async with asyncio.timeout(self._timeout * 2):
                    await self._look()
            except (RedisError, OSError, TimeoutError) as error:
                logger.warning("redis cluster is away", extra={"fields": {"error": f"{type(error).__name__}: {error}"}})
                await asyncio.sleep(_WATCH_SECONDS)

    async def _look(self) -> None:
        """Ask who the masters are, and put links and topics where they belong."""
        self._layout = await self._ask()
        # Those that answer first come first the next time; all that were ever known stay known.
        self._servers = list(dict.fromkeys([*self._layout.servers, *self._servers]))
        masters = self._layout.masters
        new = {address: self._link_to(address) for address in masters - self._brokers.keys()}
        self._brokers.update(new)
        await asyncio.gather(*(broker.start(self) for broker in new.values()))
        gone = [self._brokers.pop(address) for address in self._brokers.keys() - masters]
        has_moved = bool(gone)
        for topic, entry in list(self._topics.items()):
            if entry.broker is None or entry.broker is not self._broker_of(topic):
                has_moved = has_moved or entry.broker is not None
                if entry.broker is not None and entry.broker not in gone:
                    entry.broker.unsubscribe(topic)
                entry.confirmed.clear()
                self._settle(topic, entry)
        for broker in gone:
            await broker.stop()
        if has_moved:
            logger.info("redis cluster has changed", extra={"fields": {"masters": len(masters)}})
            await self._report_gap()

    async def _ask(self) -> ClusterLayout:
        """The layout, as the first server that can be reached and knows one tells it."""
        error: Exception = RedisConnectionError("no server of the cluster is known")
        for host, port in self._servers:
            limits = {"socket_timeout": self._timeout, "socket_connect_timeout": self._timeout / 2}
            pool = ConnectionPool(**{**self._options, **limits, "host": host, "port": port})
            try:
                async with Redis(connection_pool=pool) as client:
                    answer = await client.execute_command("CLUSTER SHARDS")  # type: ignore[no-untyped-call]
                    layout = ClusterLayout(answer, host)
                if layout.masters:
                    return layout
            except (RedisError, OSError, TimeoutError) as reason:
                error = reason
            finally:
                await pool.disconnect()
        raise error

    async def _report_gap(self) -> None:
        """What went by while topics moved was missed here, and what this node said to a lost master by the others."""
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.gather(*(entry.confirmed.wait() for entry in self._topics.values()))
        except TimeoutError:
            logger.warning("not all topics are subscribed again; trying on")
        seconds = _FAILOVER_SECONDS
        self._announce_loss(seconds)
        self.link_restored(seconds)

    def _link_to(self, address: Address) -> RedisBroker:
        host, port = address
        options = {**self._options, **connection_options(self._node_id), "host": host, "port": port}
        return RedisBroker(
            replace(self._settings, redis_url=""),
            self._node_id,
            pool=ConnectionPool(**options),
            sharded=True,
            announce_loss=self._announce_loss,
            on_moved=self._moved.set,
        )

    def _announce_loss(self, seconds: float) -> None:
        self.publish(CONTROL, pack(Envelope(self._node_id, CATCH_UP, json_payload(catch_up(seconds)))))

    # What the links receive

    def receive(self, topic: str, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.receive(topic, data)

    def link_restored(self, away_seconds: float) -> None:
        if self._receiver is not None:
            self._receiver.link_restored(away_seconds)
