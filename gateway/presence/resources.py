"""The objects that the replicas and the writer of one node's presence share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.presence.leases import Leases
from gateway.presence.loops import Loops
from gateway.presence.outlet import Audience
from gateway.presence.store import Store
from gateway.presence.topics import Topics


@dataclass(frozen=True, slots=True)
class Resources:
    """The shared objects of one node."""

    node: str
    """The id of this node."""
    topics: Topics
    store: Store
    leases: Leases
    audience: Audience
    loops: Loops
    clock: Callable[[], float]
    """Returns seconds, and never goes back."""
