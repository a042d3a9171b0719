"""The processes of a deployment, as Postgres knows them. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """A process that runs, or that ended a short time ago."""

    id: str
    kind: str
    """`api` or `gateway`."""
    version: str | None
    """None for a process of before there were versions."""
    started_at: float | None
    """When it reported for the first time, in seconds since the epoch."""
    is_alive: bool
    """Its last report is recent, and it has not left."""
    is_heard: bool
    """Its link to the broker was up at its last report."""
