"""What a node counts while it works.

What happens for each frame is a plain integer: a counter of a metrics library would cost more than the work.
"""

from __future__ import annotations

from prometheus_client import Counter
from prometheus_client.registry import Collector

from gateway.protocol.close_codes import CLOSES, Close
from shared.timings import Timings


class Counts:
    """Only ever grows. Frames are WebSocket messages, or the lines of a long-poll body."""

    __slots__ = (
        "broadcasts",
        "channel_crashes",
        "closes",
        "disconnects",
        "frames_in",
        "frames_out",
        "joins",
        "pushes",
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
        self.disconnects = Counter("gateway_disconnects", "Connections that have ended", registry=None)
        self.refused = Counter("gateway_refused", "Connects refused", registry=None)
        self.channel_crashes = Counter(
            "gateway_channel_crashes", "Callbacks of channels that raised", ["channel"], registry=None
        )
        """Callbacks that raised, or returned what they must not: joins that fail, channels that end."""
        self.closes = Counter("gateway_closes", "Connections closed by this node, by why", ["reason"], registry=None)
        for close in CLOSES:
            # There from the first moment on: a rate needs a sample before the first one.
            self.closes.labels(close.reason)
        self.joins = Timings("gateway_join_seconds", "From a join to its reply", ("channel", "status"))
        self.pushes = Timings(
            "gateway_handle_in_seconds", "Of pushes whose channel had to wait, until it was done", ("channel", "event")
        )
        """Not of those that are answered at once, within microseconds: to time them would cost more than they do."""

    def closed(self, close: Close) -> None:
        """This node has closed a connection."""
        self.closes.labels(close.reason).inc()

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """All but the integers, for a registry."""
        return (self.disconnects, self.refused, self.channel_crashes, self.closes, self.joins, self.pushes)
