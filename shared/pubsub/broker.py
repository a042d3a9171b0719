"""The broker: how nodes hear of each other's broadcasts. States the promises; redis.py and memory.py keep them."""

from __future__ import annotations

from typing import Protocol


class Receiver(Protocol):
    """Who gets what a broker received: the gateway's endpoint."""

    def receive(self, topic: str, data: bytes) -> None:
        """One message, in the order of its publisher. Must not block or raise."""

    def link_restored(self, away_seconds: float) -> None:
        """The link was away for so long and is back, all topics subscribed again: messages may have been missed."""


class Broker(Protocol):
    """Publish and subscribe by topic, between nodes.

    Delivery is at most once and in order for each publisher. A publisher that has subscribed to the topic itself gets
    its own messages too and drops them by the node id in the envelope. What a message must survive is not kept here:
    whoever cannot lose one reads it from Postgres after `link_restored`.
    """

    @property
    def connected(self) -> bool:
        """Whether the link is up, as far as is known."""

    @property
    def unpublished(self) -> int:
        """Messages that wait to be written."""

    async def start(self, receiver: Receiver | None) -> None:
        """Connect, or keep trying in the background. A process that only publishes gives no receiver."""

    async def stop(self) -> None:
        """Send what is queued, if the link is up, and end."""

    async def subscribe(self, topic: str) -> None:
        """Returns when the subscription is confirmed: whatever is published from now on is received.

        Callers of the same topic share one subscription and count as one each. While the link is away this waits,
        and returns when the topic is subscribed on the new link. Raises TimeoutError where that takes longer than
        `subscribe_timeout_seconds`; then the caller does not count.
        """

    def unsubscribe(self, topic: str) -> None:
        """Takes back one subscribe. The last one ends the subscription."""

    def publish(self, topic: str, data: bytes) -> None:
        """Queue a message; never waits. Messages queued in one loop tick leave in one write.

        While the link is away, up to a bound of messages is kept and sent later; past it the oldest are dropped.
        """
