"""The topics that a node wants from one Redis server, and which of them the server has confirmed. No I/O.

The broker asks which topics to subscribe and unsubscribe next, writes the commands, and reports the server's answers.
A channel is a topic's name in Redis: the prefix of the settings and the topic.
"""

from __future__ import annotations

import asyncio
from itertools import islice

from redis.crc import key_slot


class Topic:
    """How many callers want a topic on this node, and the callers that wait for its confirmation."""

    __slots__ = ("confirmed", "count", "unconfirmed", "waiters")

    def __init__(self) -> None:
        self.count = 0
        self.confirmed = False
        self.unconfirmed = 0
        """Number of SUBSCRIBEs that were written to this link and are not confirmed."""
        self.waiters: list[asyncio.Future[None]] | None = None

    async def wait(self, seconds: float) -> None:
        """Returns when the server has confirmed the topic.

        Raises TimeoutError after this time, or if the server no longer serves the topic.
        """
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        if self.waiters is None:
            self.waiters = []
        self.waiters.append(waiter)
        # `asyncio.timeout` would take three times as long, and every join waits here.
        timer = loop.call_later(seconds, _expire, waiter)
        try:
            await waiter
        finally:
            timer.cancel()

    def confirm(self) -> None:
        """The server has confirmed the topic: end all waits."""
        self.confirmed = True
        for waiter in self._no_longer_waiting():
            waiter.set_result(None)

    def give_up(self) -> None:
        """The server no longer serves the topic: make all waiting callers raise TimeoutError."""
        for waiter in self._no_longer_waiting():
            waiter.set_exception(TimeoutError("the server no longer serves this topic"))

    def _no_longer_waiting(self) -> list[asyncio.Future[None]]:
        waiters, self.waiters = self.waiters, None
        return [waiter for waiter in waiters or () if not waiter.done()]


class Topics:
    """The wanted topics of one server, over all links to it, one link after the other."""

    def __init__(self, work: asyncio.Event) -> None:
        """`work` is set when a topic has to be subscribed or unsubscribed."""
        self._work = work
        self._topics: dict[bytes, Topic] = {}
        self._to_subscribe: dict[bytes, None] = {}
        self._to_unsubscribe: dict[bytes, None] = {}
        self._missing = 0
        """Number of topics that a new link has yet to confirm before it counts as up."""
        self._unconfirmed = 0
        """The sum of `Topic.unconfirmed`."""
        self.all_confirmed = asyncio.Event()
        """Set when a new link has confirmed every topic that was wanted when it began."""

    def __len__(self) -> int:
        return len(self._topics)

    @property
    def is_unconfirmed(self) -> bool:
        """True if a SUBSCRIBE was written and is not confirmed."""
        return self._unconfirmed > 0

    def want(self, channel: bytes) -> Topic:
        """Count one more caller that wants the topic. It will be subscribed if it is not."""
        topic = self._topics.get(channel)
        if topic is None:
            topic = self._topics[channel] = Topic()
        topic.count += 1
        if topic.confirmed:
            self._to_unsubscribe.pop(channel, None)
        elif not topic.unconfirmed:
            self._to_subscribe[channel] = None
            self._work.set()
        return topic

    def unwant(self, channel: bytes, wanted: Topic | None = None) -> None:
        """Count one caller less. Does nothing if `wanted`, from `want`, is no longer the channel's topic."""
        topic = self._topics.get(channel)
        if topic is None or (wanted is not None and topic is not wanted):
            return
        topic.count -= 1
        if topic.count == 0:
            # Unsubscribed with the next write: a caller that returns before it finds the topic still subscribed.
            self._to_unsubscribe[channel] = None
            self._work.set()

    # A link

    def link_began(self) -> None:
        """A new link has begun: all wanted topics must be subscribed on it."""
        self._to_subscribe.clear()
        self._to_unsubscribe.clear()
        for channel, topic in list(self._topics.items()):
            topic.unconfirmed = 0
            if topic.count:
                self._to_subscribe[channel] = None
            else:
                del self._topics[channel]
        self._unconfirmed = 0
        self._missing = len(self._to_subscribe)
        self.all_confirmed.clear()
        if not self._missing:
            self.all_confirmed.set()

    def link_ended(self) -> None:
        """The link is gone, and with it every confirmation."""
        for topic in self._topics.values():
            topic.confirmed = False

    def next_to_unsubscribe(self, most: int) -> list[bytes]:
        """Returns at most `most` channels to unsubscribe, and forgets them."""
        gone: list[bytes] = []
        while self._to_unsubscribe and not gone:
            for channel in _pop_batch(self._to_unsubscribe, most):
                topic = self._topics.get(channel)
                # A topic that is not confirmed yet is unsubscribed when it is. Otherwise the late confirmation could be
                # taken for that of a later SUBSCRIBE.
                if topic is not None and not topic.count and not topic.unconfirmed:
                    del self._topics[channel]
                    gone.append(channel)
        return gone

    def next_to_subscribe(self, most: int) -> list[bytes]:
        """Returns at most `most` channels to subscribe; they are unconfirmed from now on."""
        wanted: list[bytes] = []
        while self._to_subscribe and not wanted:
            wanted = [channel for channel in _pop_batch(self._to_subscribe, most) if channel in self._topics]
        for channel in wanted:
            self._topics[channel].unconfirmed += 1
        self._unconfirmed += len(wanted)
        return wanted

    # Answers of the server

    def subscribed(self, channel: bytes) -> None:
        """The server has confirmed one SUBSCRIBE of the channel."""
        self._unconfirmed -= 1
        if not self._unconfirmed:
            self._work.set()
        topic = self._topics.get(channel)
        if topic is None:
            return
        topic.unconfirmed -= 1
        if topic.unconfirmed > 0 or topic.confirmed:
            return
        topic.confirm()
        if not topic.count:
            self._to_unsubscribe[channel] = None
            self._work.set()
        self._count_confirmed()

    def is_confirmed(self, channel: bytes) -> bool:
        """True if the server has confirmed the channel on the current link."""
        topic = self._topics.get(channel)
        return topic is not None and topic.confirmed

    def unconfirmed_in(self, slot: int) -> list[bytes]:
        """Returns the channels of a hash slot whose SUBSCRIBE was written and is not confirmed."""
        if self._unconfirmed <= 0:
            return []
        return [name for name, topic in self._topics.items() if topic.unconfirmed and key_slot(name) == slot]

    def drop(self, channel: bytes) -> bool:
        """Forget a channel that the server no longer serves. Returns whether it is still wanted."""
        topic = self._topics.pop(channel)
        self._to_subscribe.pop(channel, None)
        self._to_unsubscribe.pop(channel, None)
        self._unconfirmed -= topic.unconfirmed
        if not topic.confirmed:
            self._count_confirmed()
        topic.give_up()
        return topic.count > 0

    def give_up(self) -> None:
        """Make all waiting callers raise TimeoutError."""
        for topic in self._topics.values():
            topic.give_up()

    def _count_confirmed(self) -> None:
        if self._missing:
            self._missing -= 1
            if not self._missing:
                self.all_confirmed.set()


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError("the server has not confirmed this topic"))


def _pop_batch(channels: dict[bytes, None], most: int) -> list[bytes]:
    taken = list(islice(channels, most))
    for channel in taken:
        del channels[channel]
    return taken
