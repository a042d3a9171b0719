"""The counts of a node.

What happens for each frame is counted in plain integers: a metrics library's counter would cost more than the work.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from time import perf_counter
from typing import Any

from prometheus_client import Counter
from prometheus_client.registry import Collector

from gateway.protocol.close_codes import CLOSES, Close
from gateway.runtime.callbacks import UnknownEvent
from gateway.runtime.refusals import REFUSALS
from shared.timings import OTHER, Timings

TIMED_EVERY = 61
"""One in this many pushes is timed. Timing all of them would be noticeable. A prime number, because clients repeat
themselves: of two events that they push in turns, an even number would time only one."""
LONGEST_EVENT = 64
"""Longer names of events are counted as OTHER."""

BY_CLIENT, BY_PROGRAM = "client", "program"
CAUSES = (BY_CLIENT, BY_PROGRAM)
"""Why a channel crashed: the client pushed what the channel does not know, or the program has a fault."""


def label_of(event: object) -> str:
    """Returns the name of an event for metrics and traces: clients can push any JSON value."""
    return event if type(event) is str and event.isascii() and len(event) <= LONGEST_EVENT else OTHER


class Counts:
    """All counts only grow, except `longpolls`. A frame is a WebSocket message, or a line of a long-poll body."""

    __slots__ = (
        "broadcasts",
        "channel_crashes",
        "closes",
        "disconnects",
        "forged",
        "frames_in",
        "frames_out",
        "handled",
        "joins",
        "longpolls",
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
        """Broadcasts of other nodes that this node received."""
        self.pushes = 0
        """Pushes that a channel has begun to handle."""
        self.longpolls = 0
        """Sessions by long polling that are open. This number falls too."""
        self.disconnects = Counter("gateway_disconnects", "Connections that have ended", registry=None)
        self.forged = Counter(
            "gateway_forged", "Messages and presences in Redis that this service did not put there", registry=None
        )
        self.refused = Counter("gateway_refused", "Connects refused, by reason", ["reason"], registry=None)
        self.channel_crashes = Counter(
            "gateway_channel_crashes", "Callbacks of channels that raised", ["channel", "cause"], registry=None
        )
        """Callbacks that raised or returned a value of a wrong type: the join fails, or the channel ends. The cause is
        one of CAUSES."""
        self.closes = Counter("gateway_closes", "Connections closed by this node, by reason", ["reason"], registry=None)
        # All labels exist from the start: a rate needs a sample before the first event.
        for close in CLOSES:
            self.closes.labels(close.reason)
        for reason in REFUSALS:
            self.refused.labels(reason)
        self.joins = Timings("gateway_join_seconds", "From a join to its reply", ("channel", "status"))
        self.handled = Timings(
            "gateway_handle_in_seconds",
            f"How long a channel took over a push; one of {TIMED_EVERY} is timed",
            ("channel", "event"),
        )

    def expect(self, channels: Iterable[str]) -> None:
        """Give each channel's crashes a series before the first of them."""
        for channel in channels:
            for cause in CAUSES:
                self.channel_crashes.labels(channel, cause)

    async def timed(self, channel: str, event: object, handling: Coroutine[Any, Any, Any]) -> Any:
        """Return what the handler of a push returns, and count its time. Clients choose the names of events: those that
        the channel does not know have one label together."""
        label = label_of(event)
        started = perf_counter()
        try:
            return await handling
        except UnknownEvent:
            label = OTHER
            raise
        finally:
            self.handled.observe((channel, label), perf_counter() - started)

    def closed(self, close: Close) -> None:
        """Count a connection that this node has closed."""
        self.closes.labels(close.reason).inc()

    @staticmethod
    def by_reason(counter: Counter) -> dict[str, int]:
        """The counts of a counter that has reasons, without those that are 0."""
        [metric] = counter.collect()
        samples = [sample for sample in metric.samples if sample.name.endswith("_total")]
        return {sample.labels["reason"]: int(sample.value) for sample in samples if sample.value}

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """All metrics except the integers, for a registry."""
        counters = (self.disconnects, self.forged, self.refused, self.channel_crashes, self.closes)
        return (*counters, self.joins, self.handled)
