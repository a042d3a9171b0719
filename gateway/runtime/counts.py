"""The counts of a node. They are plain integers: counters of a metrics library would cost more than the work itself."""

from __future__ import annotations

from collections import Counter

from gateway.protocol.close_codes import Close


class Counts:
    """Each count only grows. A frame is a WebSocket message, or a line of a long-poll body."""

    __slots__ = (
        "broadcasts",
        "channel_crashes",
        "closes",
        "disconnects",
        "frames_in",
        "frames_out",
        "received",
        "refused",
    )

    def __init__(self) -> None:
        self.frames_in = 0
        self.frames_out = 0
        self.broadcasts = 0
        """Broadcasts made on this node."""
        self.received = 0
        """Broadcasts of other nodes that reached this one."""
        self.disconnects = 0
        """Connections that have ended."""
        self.refused = 0
        """Connects that were refused."""
        self.channel_crashes = 0
        """Callbacks that raised, or returned a value of a wrong type: the join fails, or the channel ends."""
        self.closes: Counter[Close] = Counter()
        """Connections that this node has closed, by their close."""
