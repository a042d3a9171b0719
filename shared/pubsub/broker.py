"""The broker carries broadcasts between nodes. This module states its promises; redis.py and memory.py keep them."""

from __future__ import annotations

from typing import Protocol


class Receiver(Protocol):
    """Gets what a broker receives, and is told what it may have missed or lost. No method may block or raise."""

    def receive(self, topic: str, data: bytes) -> None:
        """One message. Messages of one publisher arrive in its order."""

    def link_restored(self, away_seconds: float) -> None:
        """The link is back after so many seconds, with all topics subscribed; this node may have missed messages."""

    def messages_lost(self, seconds: float) -> None:
        """Other nodes may not have received what this node published in the last so many seconds.

        Called when the link is up again, so that the other nodes can be told.
        """


class Broker(Protocol):
    """Publish and subscribe by topic, between nodes.

    Each message is delivered at most once; those of one publisher arrive in its order. A publisher that has subscribed
    to the topic gets its own messages too, and drops them by the node id in the envelope. The broker stores nothing:
    a receiver that must not lose a message reads it from Postgres after `link_restored`.
    """

    @property
    def server(self) -> str:
        """What operators call the server that it runs on, as health and metrics name it: `redis`."""

    @property
    def connected(self) -> bool:
        """True while every topic can be published and heard, as far as this node knows."""

    @property
    def unpublished(self) -> int:
        """How many messages wait to be written."""

    async def start(self, receiver: Receiver | None) -> None:
        """Connect, or keep trying in the background. Without a receiver nobody is told of losses."""

    async def stop(self) -> None:
        """Send what is queued, if the link is up, wait until its server has confirmed it, and end."""

    async def subscribe(self, topic: str) -> None:
        """Returns when the subscription is confirmed: this node receives whatever is published from then on.

        Callers of the same topic share one subscription, and each of them counts. While the link is away this waits
        until the topic is subscribed on the new link. Raises TimeoutError after `subscribe_timeout_seconds`; the caller
        is not counted then.
        """

    def unsubscribe(self, topic: str) -> None:
        """Undo one `subscribe`. The last one ends the subscription."""

    def publish(self, topic: str, data: bytes) -> None:
        """Queue a message; never waits. Messages queued in one loop tick leave in one write.

        While the link is away, at most `max_publish_queue` messages are kept and sent later. Beyond that the oldest is
        dropped, and counts as lost.
        """
