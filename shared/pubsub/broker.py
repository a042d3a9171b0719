"""The broker carries broadcasts between nodes. This module states its promises; redis.py and memory.py keep them."""

from __future__ import annotations

from typing import Protocol


class Receiver(Protocol):
    """Gets what a broker receives, and learns what may have been missed or lost. No method may block or raise."""

    def receive(self, topic: str, data: bytes) -> None:
        """Called for each message. Messages of one publisher arrive in its order."""

    def link_restored(self, away_seconds: float) -> None:
        """The link is back after `away_seconds`, with all topics subscribed. This node may have missed messages."""

    def messages_lost(self, seconds: float) -> None:
        """Other nodes may not have received what this node published in the last `seconds`.

        Called when the link is up again, so that this node can tell them.
        """


class Broker(Protocol):
    """Publish and subscribe by topic, between nodes.

    Each message is delivered at most once; those of one publisher arrive in its order. A publisher that has subscribed
    to the topic gets its own messages too, and drops them by the node id in the envelope. The broker stores nothing:
    a receiver that must not lose a message reads it from Postgres after `link_restored`.
    """

    @property
    def server(self) -> str:
        """The name of the server in health and metrics: `redis`."""

    @property
    def connected(self) -> bool:
        """True while this node can publish and receive on every topic, as far as it knows."""

    @property
    def unpublished(self) -> int:
        """Number of messages that wait to be written."""

    async def start(self, receiver: Receiver | None) -> None:
        """Connect, or keep trying in the background. Without a receiver, losses are not reported."""

    async def stop(self) -> None:
        """If the link is up, send what is queued and wait until the server has confirmed it. Then disconnect."""

    async def subscribe(self, topic: str) -> None:
        """Returns when the subscription is confirmed: this node receives everything that is published from then on.

        Callers of one topic share one subscription, and each caller counts. While the link is away, this waits until
        the topic is subscribed on the new link. Raises TimeoutError after `subscribe_timeout_seconds`; the caller then
        does not count.
        """

    def unsubscribe(self, topic: str) -> None:
        """Undo one `subscribe`. The last one ends the subscription."""

    def publish(self, topic: str, data: bytes) -> None:
        """Queue a message; never waits. Messages queued in one loop tick are sent in one write.

        While the link is away, at most `max_publish_queue` messages are kept and sent later. Beyond that the oldest is
        dropped and counts as lost.
        """
