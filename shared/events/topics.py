"""The names of topics, in one place: what clients join, and what only servers speak of."""

from __future__ import annotations


def private_chat(user_id: int) -> str:
    """Where a user's messages arrive, on every device."""
    return f"private_chat:{user_id}"


def listing(listing_id: int) -> str:
    """Where those who look at a listing learn of its changes."""
    return f"listing:{listing_id}"


def users_socket(user_id: int) -> str:
    """Where `disconnect` tells every node to close a user's sockets."""
    return f"users_socket:{user_id}"


def node(node_id: str) -> str:
    """Where the other gateway nodes reach this one; no client can join it."""
    return f"node:{node_id}"
