"""The broker on Redis pub/sub: one link for each node, subscribed to what the node's own clients joined.

Keeps the promises of broker.py. A link that was away is rebuilt: all topics are subscribed again in batches, what was
queued is sent, and then the receiver is told that it may have missed something. What was written to a link that then
broke is not written again (at most once); instead, the other nodes are told to catch up.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import MovedError, RedisError, ResponseError

from shared.events.control import CATCH_UP, CONTROL, catch_up
from shared.events.envelope import Envelope, json_payload, pack
from shared.pubsub.broker import Receiver
from shared.pubsub.redis_link import LinkCommands, RedisLink
from shared.settings import Settings

logger = logging.getLogger(__name__)

_BATCH = 500
"""Topics in one SUBSCRIBE, messages in one write."""
_RETRY_SECONDS = (0.05, 1.0)
"""How long to wait before a new link, at first and at most."""


class _Topic:
    """Who wants a topic on this node, and who waits for its confirmation."""

    __slots__ = ("confirmed", "count", "unconfirmed", "waiters")

    def __init__(self) -> None:
        self.count = 0
        self.confirmed = False
        self.unconfirmed = 0
        """SUBSCRIBEs sent on this link and not confirmed."""
        self.waiters: list[asyncio.Future[None]] | None = None


class RedisBroker:
    """A Broker over one Redis server. `node_id` marks what this broker itself has to say to other nodes."""

    def __init__(
        self,
        settings: Settings,
        node_id: str = "",
        *,
        pool: ConnectionPool | None = None,
        sharded: bool = False,
        announce_loss: Callable[[float], None] | None = None,
        on_moved: Callable[[], None] | None = None,
    ) -> None:
        """The keywords are for one master of a cluster: its connections, SSUBSCRIBE instead of SUBSCRIBE, who tells
        the other nodes that messages were lost, and who is told that a topic belongs to another master now."""
        self._node_id = node_id
        self._commands = LinkCommands(sharded=sharded)
        self._announce_loss = announce_loss or self._tell_to_catch_up
        self._on_moved = on_moved
        self._prefix = settings.redis_prefix.encode()
        self._timeout = settings.redis_timeout_seconds
        self._subscribe_timeout = settings.subscribe_timeout_seconds
        self._bound = settings.max_publish_queue
        self._pool = pool or ConnectionPool.from_url(settings.redis_url, **connection_options(node_id))
        self._receiver: Receiver | None = None
        self._topics: dict[bytes, _Topic] = {}
        self._to_subscribe: dict[bytes, None] = {}
        self._to_unsubscribe: dict[bytes, None] = {}
        self._queue: deque[tuple[bytes, bytes]] = deque()
        self._lost = 0
        self._complete_until = asyncio.get_running_loop().time()
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._missing = 0
        self._unconfirmed = 0
        """Topics in SUBSCRIBEs that Redis has not confirmed. Until it has, the next ones are collected: joins that come
        at the same time share one."""
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False
        self.connected = False

    # The Broker's side

    @property
    def unpublished(self) -> int:
        return len(self._queue)

    async def start(self, receiver: Receiver | None) -> None:
        """Returns when the first link is up, or after the timeout with the link still being tried."""
        self._receiver = receiver
        self._task = asyncio.create_task(self._run(), name="redis broker")
        try:
            async with asyncio.timeout(self._timeout):
                await self._confirmed.wait()
        except TimeoutError:
            logger.warning("redis is away at start; trying on")

    async def stop(self) -> None:
        if self._task is None:
            return
        if self.connected and self._queue:
            self._idle.clear()
            self._work.set()
            try:
                async with asyncio.timeout(self._timeout):
                    await self._idle.wait()
            except TimeoutError:
                logger.warning("stopped with unsent messages", extra={"fields": {"count": len(self._queue)}})
        self._is_stopping = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._pool.disconnect()

    async def subscribe(self, topic: str) -> None:
        channel = self._prefix + topic.encode()
        entry = self._topics.get(channel)
        if entry is None:
            entry = self._topics[channel] = _Topic()
        entry.count += 1
        if entry.confirmed:
            self._to_unsubscribe.pop(channel, None)
            return
        if not entry.unconfirmed:
            self._to_subscribe[channel] = None
            self._work.set()
        waiter = asyncio.get_running_loop().create_future()
        if entry.waiters is None:
            entry.waiters = []
        entry.waiters.append(waiter)
        try:
            async with asyncio.timeout(self._subscribe_timeout):
                await waiter
        except (TimeoutError, asyncio.CancelledError):
            self.unsubscribe(topic)
            raise

    def unsubscribe(self, topic: str) -> None:
        channel = self._prefix + topic.encode()
        entry = self._topics.get(channel)
        if entry is None:
            return
        entry.count -= 1
        if entry.count == 0:
            # Not at once: whoever comes back before the write finds the topic still subscribed.
            self._to_unsubscribe[channel] = None
            self._work.set()

    def publish(self, topic: str, data: bytes) -> None:
        if len(self._queue) >= self._bound:
            self._queue.popleft()
            self._lost += 1
        self._queue.append((self._prefix + topic.encode(), data))
        self._work.set()

    # The link's side

    async def _run(self) -> None:
        delay, most = _RETRY_SECONDS
        restored = False
        # Not only until it is cancelled: a link that breaks just then has its error raised in place of that.
        while not self._is_stopping:
            link = RedisLink(
                self._pool.make_connection(),  # type: ignore[no-untyped-call]
                self._commands,
                self._message,
                self._subscribed,
                self._refused,
                self._timeout,
            )
            try:
                await link.open()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(link.serve())
                    tasks.create_task(self._drive(link, restored))
            except* (RedisError, OSError, TimeoutError) as group:
                error = _first(group)
                log = logger.warning if self.connected else logger.debug
                log("redis link lost", extra={"fields": {"error": f"{type(error).__name__}: {error}"}})
            except* Exception:
                # A mistake of ours must cost a link, not all links from then on.
                logger.exception("redis link failed")
            finally:
                if self.connected:
                    delay = _RETRY_SECONDS[0]
                    # Not of a link that broke while topics were still missing on it: the gap goes on.
                    self._complete_until = link.complete_until
                self.connected = False
                self._lost += link.unanswered
                for entry in self._topics.values():
                    entry.confirmed = False
                await link.close()
            restored = True
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, most)

    async def _drive(self, link: RedisLink, restored: bool) -> None:
        """Subscribe everything on a fresh link, then carry out what comes up, in batches."""
        self._to_subscribe.clear()
        self._to_unsubscribe.clear()
        for channel, entry in list(self._topics.items()):
            entry.unconfirmed = 0
            if entry.count:
                self._to_subscribe[channel] = None
            else:
                del self._topics[channel]
        self._unconfirmed = 0
        self._missing = len(self._to_subscribe)
        self._confirmed.clear()
        if not self._missing:
            self._confirmed.set()
        await self._write_subscriptions(link)
        async with asyncio.timeout(self._timeout * 10):
            await self._confirmed.wait()
        self.connected = True
        away = asyncio.get_running_loop().time() - self._complete_until if restored else 0.0
        if self._lost and restored:
            self._announce_loss(away)
        self._lost = 0
        if restored:
            logger.info("redis link restored", extra={"fields": {"topics": len(self._topics)}})
            if self._receiver is not None:
                self._receiver.link_restored(away)
        while True:
            self._work.clear()
            if self._unconfirmed <= 0:
                await self._write_subscriptions(link)
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
                await link.publish(batch)
            self._idle.set()
            await self._work.wait()

    async def _write_subscriptions(self, link: RedisLink) -> None:
        while self._to_unsubscribe:
            channels = self._taken(self._to_unsubscribe)
            # One that is not confirmed yet is ended when it is, so that its late confirmation can't pass for another's.
            gone = [
                channel
                for channel in channels
                if (entry := self._topics.get(channel)) is not None and not entry.count and not entry.unconfirmed
            ]
            for channel in gone:
                del self._topics[channel]
            if gone:
                await link.unsubscribe(gone)
        while self._to_subscribe:
            channels = self._taken(self._to_subscribe)
            wanted = [channel for channel in channels if channel in self._topics]
            for channel in wanted:
                self._topics[channel].unconfirmed += 1
            if wanted:
                self._unconfirmed += len(wanted)
                await link.subscribe(wanted)

    @staticmethod
    def _taken(channels: dict[bytes, None]) -> list[bytes]:
        taken = list(channels)[:_BATCH]
        for channel in taken:
            del channels[channel]
        return taken

    def _subscribed(self, channel: bytes) -> None:
        self._unconfirmed -= 1
        if not self._unconfirmed:
            self._work.set()
        entry = self._topics.get(channel)
        if entry is None:
            return
        entry.unconfirmed -= 1
        if entry.unconfirmed > 0 or entry.confirmed:
            return
        entry.confirmed = True
        if not entry.count:
            self._to_unsubscribe[channel] = None
            self._work.set()
        waiters, entry.waiters = entry.waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        if self._missing:
            self._missing -= 1
            if not self._missing:
                self._confirmed.set()

    def _tell_to_catch_up(self, seconds: float) -> None:
        notice = Envelope(self._node_id, CATCH_UP, json_payload(catch_up(seconds)))
        self._queue.append((self._prefix + CONTROL.encode(), pack(notice)))

    def _refused(self, error: ResponseError) -> None:
        """A refused command is not a broken link; what it was to say is lost."""
        self._lost += 1
        # It may have been a SUBSCRIBE, whose confirmation will never come.
        self._unconfirmed = 0
        self._work.set()
        if isinstance(error, MovedError) and self._on_moved is not None:
            self._on_moved()
        else:
            logger.warning("redis refused a command", extra={"fields": {"error": str(error)}})

    def _message(self, channel: bytes, data: bytes) -> None:
        if self._receiver is None:
            return
        try:
            self._receiver.receive(channel[len(self._prefix) :].decode(), data)
        except Exception:
            logger.exception("a message from another node was not handled")


def connection_options(node_id: str) -> dict[str, Any]:
    """For redis-py: pushes arrive among the answers (RESP3), and who drives the link waits and tries again itself."""
    return {"protocol": 3, "socket_timeout": None, "retry": None, "client_name": f"daveslist-{node_id}"}


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
