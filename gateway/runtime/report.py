"""What a gateway reports of itself while an admin looks.

It reads what the node has anyway; nothing is kept for it. With 20,000 connections a report takes some milliseconds.
"""

from __future__ import annotations

import heapq
from typing import Any

from gateway.protocol.session import State
from gateway.runtime.connection import Connection
from gateway.runtime.endpoint import Endpoint

MOST_LISTED = 10
"""The most topics and slow readers in a report."""


def of_node(endpoint: Endpoint) -> dict[str, Any]:
    """Returns what the node has to do: `connections` (of which `longpolls`), `channels`, the largest `topics`.

    `slow` are the clients with the most bytes that wait for them, `refused` and `closed` count since its start, by
    reason.
    """
    counts, connections = endpoint.counts, endpoint.connections
    largest = heapq.nlargest(MOST_LISTED, ((len(endpoint.topics.members(topic)), topic) for topic in endpoint.topics))
    behind = ((client.outbox_bytes, client.number, client.actor.user_id) for client in connections)
    slow = heapq.nlargest(MOST_LISTED, (one for one in behind if one[0]))
    return {
        "node": endpoint.node_id,
        "connections": len(connections),
        "longpolls": counts.longpolls,
        "users": connections.users,
        "channels": endpoint.channels,
        "draining": endpoint.is_draining,
        "linked": endpoint.broker.connected,
        "topics": [{"topic": topic, "members": members} for members, topic in largest],
        "slow": [{"user_id": user_id, "bytes": waiting} for waiting, _, user_id in slow],
        "refused": counts.by_reason(counts.refused),
        "closed": counts.by_reason(counts.closes),
    }


def of_user(endpoint: Endpoint, user_id: int) -> dict[str, Any]:
    """Returns the user's connections on this node: the session of each, how it came, and what it has joined."""
    devices = [
        {
            "session_id": client.actor.session_id,
            "transport": client.transport,
            "topics": sorted(_joined(client)),
            "bytes": client.outbox_bytes,
        }
        for client in endpoint.connections.of_user(user_id)
        if isinstance(client, Connection)
    ]
    return {"node": endpoint.node_id, "user_id": user_id, "devices": devices}


def _joined(client: Connection) -> list[str]:
    return [topic for topic, joined in client.session.topics.items() if joined.state is State.JOINED]
