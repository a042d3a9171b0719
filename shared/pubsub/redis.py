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

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, RedisError, ResponseError

from shared.logs import log_of
from shared.pubsub.broker import Receiver
from shared.pubsub.redis_link import LinkCommands, RedisLink
from shared.pubsub.topics import Topics
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


class RedisBroker:
    """A broker over one Redis server."""

    server = "redis"

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
        self._queue: deque[tuple[bytes, bytes]] = deque()
        self._lost_since: float | None = None
        """Loop time. What was published since then may be lost; not yet reported to the receiver."""
        self._reporting: asyncio.TimerHandle | None = None
        self._complete_until = self._loop.time()
        """RedisLink's `complete_until` when the last link broke."""
        self._why = "no answer"
        """Why the last link could not be opened, or broke."""
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._topics = Topics(self._work)
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
        # A new link to a server that nobody has confirmed as the master proves nothing yet.
        return self._complete_until if self._link is None else max(self._complete_until, self._link.complete_until)

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
                await self._topics.all_confirmed.wait()
        except TimeoutError:
            log.warning("redis is away at start; retrying", error=self._why)

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
        self._topics.give_up()
        return unsent

    async def subscribe(self, topic: str) -> None:
        channel = self._channel(topic)
        wanted = self._topics.want(channel)
        if wanted.confirmed:
            return
        try:
            await wanted.wait(self._subscribe_timeout)
        except (TimeoutError, asyncio.CancelledError):
            self._topics.unwant(channel, wanted)
            raise

    def unsubscribe(self, topic: str) -> None:
        self._topics.unwant(self._channel(topic))

    def publish(self, topic: str, data: bytes) -> None:
        if len(self._queue) >= self._bound:
            self._queue.popleft()
            self._lose(self.complete_until)
        self._queue.append((self._channel(topic), data))
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
                on_subscribed=self._topics.subscribed,
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
                self._why = f"{type(error).__name__}: {error}"
                log.log(level, "redis link lost", error=self._why)
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
        self._topics.link_began()
        await self._write_subscriptions(link)
        async with asyncio.timeout(self._timeout * 10):
            await self._topics.all_confirmed.wait()

    async def _pump(self, link: RedisLink) -> None:
        """Write subscriptions and messages in batches as they arrive."""
        while True:
            self._work.clear()
            # While the server confirms earlier joins, further joins are collected: they share the next SUBSCRIBE.
            if not self._topics.is_unconfirmed:
                await self._write_subscriptions(link)
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
                await link.publish(batch)
            self._idle.set()
            await self._work.wait()

    def _link_ended(self, link: RedisLink) -> None:
        if self.connected:
            # If the link broke before all topics were subscribed on it, the gap began with the previous link.
            self._complete_until, self._link = self.complete_until, None
        if link.may_have_lost:
            self._lose(self._complete_until)
        self._topics.link_ended()
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
        while channels := self._topics.next_to_unsubscribe(_BATCH):
            await link.unsubscribe(channels)
        while channels := self._topics.next_to_subscribe(_BATCH):
            await link.subscribe(channels)

    def _unsubscribed(self, channel: bytes) -> None:
        """Called after UNSUBSCRIBE, or when a master ends the subscription because its slot moved away."""
        if self._topics.is_confirmed(channel):
            self._end_topic(channel)
            self._hooks.look_again()

    def _refused(self, error: ResponseError) -> None:
        """Redis refused a command; a message in it is lost. Raises RedisConnectionError if a new link is needed."""
        self._lose(self.complete_until)
        if isinstance(error, MovedError):
            for channel in self._topics.unconfirmed_in(error.slot_id):
                self._end_topic(channel)
            self._work.set()
            self._hooks.slot_moved((error.host, error.port))
            return
        log.warning("redis refused a command", error=str(error))
        if self._topics.is_unconfirmed:
            # If the command was a SUBSCRIBE, its confirmation will never come, and it is unknown which one it was.
            raise RedisConnectionError(f"a subscription may have been refused: {error}")

    def _end_topic(self, channel: bytes) -> None:
        """The server no longer serves this topic."""
        if self._topics.drop(channel):
            self._hooks.topic_ended(self, self._topic(channel))

    def _message(self, channel: bytes, data: bytes) -> None:
        if self._receiver is None:
            return
        try:
            self._receiver.receive(self._topic(channel), data)
        except Exception:
            log.exception("a message from another node was not handled")

    def _channel(self, topic: str) -> bytes:
        return self._prefix + topic.encode()

    def _topic(self, channel: bytes) -> str:
        return channel[len(self._prefix) :].decode()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
