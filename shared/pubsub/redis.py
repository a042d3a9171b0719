"""The broker on Redis pub/sub: one link for each node, subscribed to the topics that the node's own clients joined.

It keeps the promises of broker.py. When a new link is up after a break, it subscribes to every topic again in batches,
tells the receiver what may have been missed, and sends the queued messages. Messages that were written to the broken
link are not written again (at most once); they count as lost.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque

from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, RedisError, ResponseError

from shared.logs import log_of
from shared.pubsub.broker import Receiver
from shared.pubsub.redis_link import LinkCommands, RedisLink
from shared.redis import Address, Connect, links
from shared.settings import Settings

log = log_of(__name__)

_BATCH = 500
"""Most topics in one SUBSCRIBE, and most messages in one write."""
_RETRY_SECONDS = (0.05, 1.0)
"""The first and the longest wait before a new link is opened."""
_REPORT_SECONDS = 0.5
"""Losses on a link that stays up are collected this long before they are reported."""


class ClusterHooks:
    """What the broker of one master tells the broker of its cluster. Without a cluster, these methods do nothing."""

    def look_again(self) -> None:
        """The link broke, or a slot moved away: the masters may have changed."""

    def slot_moved(self, owner: Address) -> None:
        """The master refused a command, because another server owns the slot now."""

    def topic_ended(self, broker: RedisBroker, topic: str) -> None:
        """The master ended the subscription of this topic, or refused it: another server may own the topic now."""


class _Topic:
    """How many callers want a topic on this node, and the callers that wait for its confirmation."""

    __slots__ = ("confirmed", "count", "unconfirmed", "waiters")

    def __init__(self) -> None:
        self.count = 0
        self.confirmed = False
        self.unconfirmed = 0
        """Number of SUBSCRIBEs that were sent on this link and are not confirmed."""
        self.waiters: list[asyncio.Future[None]] | None = None


class RedisBroker:
    """A broker over one Redis server."""

    def __init__(
        self,
        settings: Settings,
        node_id: str = "",
        *,
        connect: Connect | None = None,
        hooks: ClusterHooks | None = None,
    ) -> None:
        """`connect` and `hooks` are for a master of a cluster; sharded commands are used then."""
        self._commands = LinkCommands(sharded=hooks is not None)
        self._hooks = hooks or ClusterHooks()
        self._connect = connect or links(settings.redis_url, f"daveslist-{node_id}")
        self._prefix = settings.redis_prefix.encode()
        self._timeout = settings.redis_timeout_seconds
        self._subscribe_timeout = settings.subscribe_timeout_seconds
        self._bound = settings.max_publish_queue
        self._receiver: Receiver | None = None
        self._loop = asyncio.get_running_loop()
        self._link: RedisLink | None = None
        """The link while it is up."""
        self._topics: dict[bytes, _Topic] = {}
        self._to_subscribe: dict[bytes, None] = {}
        self._to_unsubscribe: dict[bytes, None] = {}
        self._queue: deque[tuple[bytes, bytes]] = deque()
        self._lost_since: float | None = None
        """Loop time. What was published since then may be lost; not yet reported to the receiver."""
        self._reporting: asyncio.TimerHandle | None = None
        self._complete_until = self._loop.time()
        """RedisLink's `complete_until` when the last link broke."""
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._missing = 0
        """Number of topics to be subscribed again before a new link counts as up."""
        self._unconfirmed = 0
        """Number of topics in SUBSCRIBEs that Redis has not confirmed. Until it has, new topics are collected, so that
        concurrent joins share one SUBSCRIBE."""
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    # The Broker's side

    @property
    def connected(self) -> bool:
        return self._link is not None

    @property
    def unpublished(self) -> int:
        return len(self._queue)

    @property
    def complete_until(self) -> float:
        """Loop time. Everything that was published before it has arrived, in both directions."""
        return self._complete_until if self._link is None else self._link.complete_until

    @property
    def lost_since(self) -> float | None:
        """Loop time since which this node's messages may be lost without a report; None if none are."""
        return self._lost_since

    async def start(self, receiver: Receiver | None) -> None:
        """Returns when the first link is up, or after the timeout; the link is then retried in the background."""
        self._receiver = receiver
        self._task = asyncio.create_task(self._run(), name="redis broker")
        try:
            async with asyncio.timeout(self._timeout):
                await self._confirmed.wait()
        except TimeoutError:
            log.warning("redis is away at start; retrying")

    async def stop(self) -> None:
        if self._task is None:
            return
        if self._link is not None:
            self._idle.clear()
            self._work.set()
            try:
                async with asyncio.timeout(self._timeout):
                    await self._idle.wait()
                    if self._link is not None:
                        await self._link.all_answered.wait()
            except TimeoutError:
                log.warning("stopped with unsent messages", count=len(self._queue))
        self._is_stopping = True
        if self._reporting is not None:
            self._reporting.cancel()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def abandon(self) -> list[tuple[str, bytes]]:
        """Give the server up at once, and return the messages that were not written. Call `stop` afterwards.

        Callers that wait for a topic get TimeoutError.
        """
        self._complete_until, self._link = self.complete_until, None
        self._is_stopping = True
        if self._task is not None:
            self._task.cancel()
        unsent = [(self._topic(channel), data) for channel, data in self._queue]
        self._queue.clear()
        for entry in self._topics.values():
            _give_up(entry)
        return unsent

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
        waiter = self._loop.create_future()
        if entry.waiters is None:
            entry.waiters = []
        entry.waiters.append(waiter)
        try:
            async with asyncio.timeout(self._subscribe_timeout):
                await waiter
        except (TimeoutError, asyncio.CancelledError):
            if self._topics.get(channel) is entry:
                self.unsubscribe(topic)
            raise

    def unsubscribe(self, topic: str) -> None:
        channel = self._prefix + topic.encode()
        entry = self._topics.get(channel)
        if entry is None:
            return
        entry.count -= 1
        if entry.count == 0:
            # Unsubscribed with the next write: a caller that returns before it finds the topic still subscribed.
            self._to_unsubscribe[channel] = None
            self._work.set()

    def publish(self, topic: str, data: bytes) -> None:
        if len(self._queue) >= self._bound:
            self._queue.popleft()
            self._lose(self.complete_until)
        self._queue.append((self._prefix + topic.encode(), data))
        self._work.set()

    async def _run(self) -> None:
        delay, most = _RETRY_SECONDS
        is_first = True
        # Checked as well as cancelled: an error of the link can replace the CancelledError.
        while not self._is_stopping:
            link = RedisLink(
                self._connect(),
                self._commands,
                on_message=self._message,
                on_subscribed=self._subscribed,
                on_unsubscribed=self._unsubscribed,
                on_refused=self._refused,
                timeout=self._timeout,
            )
            try:
                await link.open()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(link.serve())
                    tasks.create_task(self._drive(link, is_first))
            except* (RedisError, OSError, TimeoutError) as group:
                error = _first(group)
                level = logging.WARNING if self.connected else logging.DEBUG
                log.log(level, "redis link lost", error=f"{type(error).__name__}: {error}")
            except* Exception:
                # A fault in this module must end one link, not all later ones.
                log.exception("redis link failed")
            finally:
                if self.connected:
                    delay = _RETRY_SECONDS[0]
                self._link_ended(link)
                await link.close()
            is_first = False
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, most)

    async def _drive(self, link: RedisLink, is_first: bool) -> None:
        """Bring a new link up, then do all work on it."""
        await self._subscribe_all(link)
        self._link = link
        if not is_first:
            self._report_gap()
        await self._pump(link)

    async def _subscribe_all(self, link: RedisLink) -> None:
        """Returns when every topic is confirmed on the link. Raises TimeoutError."""
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

    async def _pump(self, link: RedisLink) -> None:
        """Write subscriptions and messages in batches as they arrive."""
        while True:
            self._work.clear()
            if self._unconfirmed <= 0:
                await self._write_subscriptions(link)
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
                await link.publish(batch)
            self._idle.set()
            await self._work.wait()

    def _link_ended(self, link: RedisLink) -> None:
        if self.connected:
            # If the link broke before all topics were subscribed on it, the gap began with the previous link.
            self._complete_until = link.complete_until
            self._link = None
        if link.unanswered:
            self._lose(self._complete_until)
        for entry in self._topics.values():
            entry.confirmed = False
        self._hooks.look_again()

    # Gaps and losses

    def _report_gap(self) -> None:
        """The link is back: report what may have been missed and lost while it was away."""
        log.info("redis link restored", topics=len(self._topics))
        self._report_loss()
        if self._receiver is not None:
            self._receiver.link_restored(self._loop.time() - self._complete_until)

    def _lose(self, since: float) -> None:
        """A message published after this loop time is lost: report it once the link is up."""
        self._lost_since = since if self._lost_since is None else min(self._lost_since, since)
        if self.connected and self._reporting is None:
            self._reporting = self._loop.call_later(_REPORT_SECONDS, self._report_loss)

    def _report_loss(self) -> None:
        if self._reporting is not None:
            self._reporting.cancel()
            self._reporting = None
        # While the link is down nothing can be reported; the next link reports it.
        if self._lost_since is None or not self.connected:
            return
        seconds, self._lost_since = self._loop.time() - self._lost_since, None
        if self._receiver is not None:
            self._receiver.messages_lost(seconds)

    # Subscriptions

    async def _write_subscriptions(self, link: RedisLink) -> None:
        while self._to_unsubscribe:
            channels = self._pop_batch(self._to_unsubscribe)
            # A topic that is not confirmed yet is unsubscribed when it is. Otherwise the late confirmation could be
            # taken
            # for that of a later SUBSCRIBE.
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
            channels = self._pop_batch(self._to_subscribe)
            wanted = [channel for channel in channels if channel in self._topics]
            for channel in wanted:
                self._topics[channel].unconfirmed += 1
            if wanted:
                self._unconfirmed += len(wanted)
                await link.subscribe(wanted)

    @staticmethod
    def _pop_batch(channels: dict[bytes, None]) -> list[bytes]:
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
        self._count_confirmed()

    def _unsubscribed(self, channel: bytes) -> None:
        """Called after UNSUBSCRIBE, or when a master ends the subscription because its slot moved away."""
        entry = self._topics.get(channel)
        if entry is not None and entry.confirmed:
            self._end_topic(channel, entry)
            self._hooks.look_again()

    def _refused(self, error: ResponseError) -> None:
        """Redis refused a command; a message in it is lost. Raises RedisConnectionError if a new link is needed."""
        self._lose(self.complete_until)
        if isinstance(error, MovedError):
            for channel, entry in self._unconfirmed_in(error.slot_id):
                self._end_topic(channel, entry)
            self._work.set()
            self._hooks.slot_moved((error.host, error.port))
            return
        log.warning("redis refused a command", error=str(error))
        if self._unconfirmed > 0:
            # If the command was a SUBSCRIBE, its confirmation will never come, and it is unknown which SUBSCRIBE it
            # was.
            raise RedisConnectionError(f"a subscription may have been refused: {error}")

    def _unconfirmed_in(self, slot: int) -> list[tuple[bytes, _Topic]]:
        """Returns the topics of a hash slot whose SUBSCRIBE was written and is not confirmed."""
        if self._unconfirmed <= 0:
            return []
        return [(name, entry) for name, entry in self._topics.items() if entry.unconfirmed and key_slot(name) == slot]

    def _end_topic(self, channel: bytes, entry: _Topic) -> None:
        """The server no longer serves this topic."""
        del self._topics[channel]
        self._to_subscribe.pop(channel, None)
        self._to_unsubscribe.pop(channel, None)
        self._unconfirmed -= entry.unconfirmed
        if not entry.confirmed:
            self._count_confirmed()
        _give_up(entry)
        if entry.count:
            self._hooks.topic_ended(self, self._topic(channel))

    def _count_confirmed(self) -> None:
        if self._missing:
            self._missing -= 1
            if not self._missing:
                self._confirmed.set()

    def _message(self, channel: bytes, data: bytes) -> None:
        if self._receiver is None:
            return
        try:
            self._receiver.receive(self._topic(channel), data)
        except Exception:
            log.exception("a message from another node was not handled")

    def _topic(self, channel: bytes) -> str:
        return channel[len(self._prefix) :].decode()


def _give_up(entry: _Topic) -> None:
    waiters, entry.waiters = entry.waiters, None
    for waiter in waiters or ():
        if not waiter.done():
            waiter.set_exception(TimeoutError("the server no longer serves this topic"))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
