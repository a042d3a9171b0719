"""The names of topics: those that clients join, and those between servers."""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.ids import parse_id

_KINDS = frozenset({"alerts", "listing", "moderation", "node", "private_chat"})


def kind_of(topics: Sequence[str]) -> str:
    """Returns what topics of one broadcast are about, without whom: `private_chat`, for example, or `other`."""
    kind = topics[0].partition(":")[0] if topics else ""
    return kind if kind in _KINDS else "other"


PRIVATE_CHAT = "private_chat:"


def private_chat(user_id: int) -> str:
    """Returns the topic on which all devices of a user get their messages."""
    return f"{PRIVATE_CHAT}{user_id}"


def private_chats(one_id: int, other_id: int) -> list[str]:
    """Returns the topics of both sides of a conversation; only one if the user writes to themselves."""
    return list(dict.fromkeys((private_chat(one_id), private_chat(other_id))))


def told_of_deletion(from_id: int, to_id: int | None) -> list[str]:
    """Returns the topics of those who had a deleted message; `to_id` is None if only its sender did."""
    return [private_chat(from_id)] if to_id is None else private_chats(to_id, from_id)


def user_of(topic: str) -> int | None:
    """Returns the user of a `private_chat` topic; None for any other topic."""
    return parse_id(topic.removeprefix(PRIVATE_CHAT)) if topic.startswith(PRIVATE_CHAT) else None


ALERTS = "alerts:"


def alerts(user_id: int) -> str:
    """Returns the topic on which all devices of a user are told of listings."""
    return f"{ALERTS}{user_id}"


def user_of_alerts(topic: str) -> int | None:
    """Returns the user of an `alerts` topic; None for any other topic."""
    return parse_id(topic.removeprefix(ALERTS)) if topic.startswith(ALERTS) else None


MODERATION = "moderation"
"""The topic of moderators and admins."""

SYSTEM = "system"
"""The topic of admins."""


LISTING = "listing:"


def listing_of(topic: str) -> int | None:
    """Returns the listing of a `listing` topic; None for any other topic."""
    return parse_id(topic.removeprefix(LISTING)) if topic.startswith(LISTING) else None


def listing(listing_id: int) -> str:
    """Returns the topic on which the viewers of a listing get its changes."""
    return f"{LISTING}{listing_id}"


def node(node_id: str) -> str:
    """Returns the topic on which other gateway nodes reach this one. No client can join it."""
    return f"node:{node_id}"
