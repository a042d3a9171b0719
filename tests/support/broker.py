"""A broker in memory whose link a test can take down."""

from __future__ import annotations

from shared.pubsub.memory import MemoryBroker


class SwitchedBroker(MemoryBroker):
    """Connected while `is_up`."""

    server = "redis"
    is_up = True

    @property
    def connected(self) -> bool:
        return self.is_up
