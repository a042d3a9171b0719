"""What servers tell every gateway node about a user: a topic that all nodes subscribe to and no client can join."""

from __future__ import annotations

from typing import Any

from shared.domain.users import Role

CONTROL = "control"

DISCONNECT = "disconnect"
"""Close the sockets of a user, or of one session of theirs, with 1001."""
ROLE_CHANGED = "role_changed"
"""Close the channels that the user may no longer see."""

CATCH_UP = "catch_up"
"""A node could not deliver its broadcasts: parts that show stored messages live read the missing ones."""

CATEGORY_CHANGED = "category_changed"
"""A category was deleted, or became public or private: look again at who may see its listings."""
SELLER_CHANGED = "seller_changed"
"""A seller was banned or unbanned, or has left: look again at who may see their listings."""


def disconnect(user_id: int, session_id: str | None = None) -> dict[str, Any]:
    """The payload of DISCONNECT; without a session it means all of the user's sockets."""
    return {"user_id": user_id, "session_id": session_id}


def role_changed(user_id: int, role: Role) -> dict[str, Any]:
    """The payload of ROLE_CHANGED."""
    return {"user_id": user_id, "role": role.value}


def category_changed(category_id: int) -> dict[str, Any]:
    """The payload of CATEGORY_CHANGED."""
    return {"category_id": category_id}


def seller_changed(user_id: int) -> dict[str, Any]:
    """The payload of SELLER_CHANGED."""
    return {"user_id": user_id}


def catch_up(seconds: float) -> dict[str, Any]:
    """The payload of CATCH_UP: what was published in the last so many seconds may be missing."""
    return {"seconds": seconds}
