"""The names of topics, in one place: what clients join, and what only servers speak of."""

from __future__ import annotations

from shared.domain.ids import parse_id

PRIVATE_CHAT = "private_chat:"


def private_chat(user_id: int) -> str:
    """Where a user's messages arrive, on every device."""
    return f"{PRIVATE_CHAT}{user_id}"


def private_chats(one_id: int, other_id: int) -> list[str]:
    """Where both sides of a conversation learn of it; once, for who writes to themselves."""
    return list(dict.fromkeys((private_chat(one_id), private_chat(other_id))))


def user_of(topic: str) -> int | None:
    """The user of a `private_chat` topic; None for any other topic."""
    return parse_id(topic.removeprefix(PRIVATE_CHAT)) if topic.startswith(PRIVATE_CHAT) else None


LISTING = "listing:"


def listing_of(topic: str) -> int | None:
    """The listing of a `listing` topic; None for any other topic."""
    return parse_id(topic.removeprefix(LISTING)) if topic.startswith(LISTING) else None


def listing(listing_id: int) -> str:
    """Where those who look at a listing learn of its changes."""
    return f"{LISTING}{listing_id}"


def node(node_id: str) -> str:
    """Where the other gateway nodes reach this one; no client can join it."""
    return f"node:{node_id}"
