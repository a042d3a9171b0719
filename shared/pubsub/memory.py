"""A broker without Redis: for a single gateway, and for tests that run several nodes in one loop."""

from __future__ import annotations

from collections import Counter

from shared.pubsub.broker import Receiver


class MemoryHub:
    """Connects the brokers of one process. `publish` delivers a message before it returns."""

    def __init__(self) -> None:
        self.brokers: list[MemoryBroker] = []


class MemoryBroker:
    """The broker of one node. Its link is always up."""

    server = "memory"

    def __init__(self, hub: MemoryHub | None = None) -> None:
        self._hub = hub or MemoryHub()
        self._receiver: Receiver | None = None
        self._subscriptions: Counter[str] = Counter()

    @property
    def connected(self) -> bool:
        return True

    @property
    def unpublished(self) -> int:
        return 0

    async def start(self, receiver: Receiver | None) -> None:
        self._receiver = receiver
        self._hub.brokers.append(self)

    async def stop(self) -> None:
        if self in self._hub.brokers:
            self._hub.brokers.remove(self)

    async def subscribe(self, topic: str) -> None:
        self._subscriptions[topic] += 1

    def unsubscribe(self, topic: str) -> None:
        self._subscriptions[topic] -= 1
        if self._subscriptions[topic] <= 0:
            del self._subscriptions[topic]

    def publish(self, topic: str, data: bytes) -> None:
        for broker in self._hub.brokers:
            if broker is not self and topic in broker._subscriptions and broker._receiver is not None:
                broker._receiver.receive(topic, data)
