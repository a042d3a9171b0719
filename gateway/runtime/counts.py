"""What a node counts while it works: plain integers; counters of a metrics library would cost more than the work."""

from __future__ import annotations


class Counts:
    """Only ever grows. Frames are WebSocket messages, or the lines of a long-poll body."""

    __slots__ = (
        "bad_frames",
        "broadcasts",
        "disconnects",
        "frames_in",
        "frames_out",
        "received",
        "refused",
        "slow_clients",
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
        self.bad_frames = 0
        """Connections closed for a frame that was none."""
        self.slow_clients = 0
        """Connections closed because their client did not read."""
