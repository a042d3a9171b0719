"""The counts of a node.

What happens for each frame is counted in plain integers: a metrics library's counter would cost more than the work.
"""

from __future__ import annotations

from prometheus_client import Counter
from prometheus_client.registry import Collector

from gateway.protocol.close_codes import CLOSES, Close
from gateway.runtime.refusals import REFUSALS
from shared.timings import Timings

TIMED_EVERY = 8
"""One in this many pushes that wait is timed. Timing all of them would cost two percent of a stored `send`."""


class Counts:
    """All counts only grow. A frame is a WebSocket message, or a line of a long-poll body."""

    __slots__ = (
        "broadcasts",
        "channel_crashes",
        "closes",
        "disconnects",
        "forged",
        "frames_in",
        "frames_out",
        "joins",
        "pushes",
        "received",
        "refused",
        "waits",
    )

    def __init__(self) -> None:
        self.frames_in = 0
        self.frames_out = 0
        self.broadcasts = 0
        """Broadcasts made on this node."""
        self.received = 0
        """Broadcasts of other nodes that this node received."""
        self.waits = 0
        """Pushes for which a channel had to wait."""
        self.disconnects = Counter("gateway_disconnects", "Connections that have ended", registry=None)
        self.forged = Counter(
            "gateway_forged", "Messages and presences in Redis that this service did not put there", registry=None
        )
        self.refused = Counter("gateway_refused", "Connects refused, by reason", ["reason"], registry=None)
        self.channel_crashes = Counter(
            "gateway_channel_crashes", "Callbacks of channels that raised", ["channel"], registry=None
        )
        """Callbacks that raised or returned a value of a wrong type: the join fails, or the channel ends."""
        self.closes = Counter("gateway_closes", "Connections closed by this node, by reason", ["reason"], registry=None)
        # All labels exist from the start: a rate needs a sample before the first event.
        for close in CLOSES:
            self.closes.labels(close.reason)
        for reason in REFUSALS:
            self.refused.labels(reason)
        self.joins = Timings("gateway_join_seconds", "From a join to its reply", ("channel", "status"))
        self.pushes = Timings(
            "gateway_handle_in_seconds",
            f"How long a channel took over a push for which it had to wait; one of {TIMED_EVERY} is timed",
            ("channel", "event"),
        )
        """A push that is answered at once is not timed: it takes microseconds, and timing it would be noticeable."""

    def closed(self, close: Close) -> None:
        """Count a connection that this node has closed."""
        self.closes.labels(close.reason).inc()

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """All metrics except the integers, for a registry."""
        return (self.disconnects, self.forged, self.refused, self.channel_crashes, self.closes, self.joins, self.pushes)
