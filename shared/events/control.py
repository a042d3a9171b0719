"""Events between servers, on a topic to which all gateways subscribe and which no client can join."""

from __future__ import annotations

from typing import Any

from shared.domain.users import Role

CONTROL = "control"

DISCONNECT = "disconnect"
"""A user, one of their sessions or all but one may no longer be welcome: ask Postgres, and close sockets with 1001."""
ROLE_CHANGED = "role_changed"
"""A user's role may have changed: ask Postgres, and close the channels that the user may no longer see."""

STANDING_CHANGED = "standing_changed"
"""A user was warned, or has read a warning: ask Postgres whether they may write."""

CATCH_UP = "catch_up"
"""A node's broadcasts may be lost: channels that show stored messages read what is missing."""

CATEGORY_CHANGED = "category_changed"
"""A category was deleted, or became public or private: check again who may see its listings."""
SELLER_CHANGED = "seller_changed"
"""A seller was banned, a ban has ended, or the seller deleted the account: check again who may see their listings."""
BLOCKS_CHANGED = "blocks_changed"
"""A user has blocked somebody, or does so no more: ask again whom they may be shown to, and who is shown to them."""
REPORT = "report"
"""An admin looks: say on the topic `system` what you have to do, or which connections of a user you have."""


def disconnect(user_id: int, session_id: str | None = None, *, kept_session_id: str | None = None) -> dict[str, Any]:
    """Returns the payload of DISCONNECT, which means all sockets of a user, those of one session, or all but those of
    the kept session."""
    payload: dict[str, Any] = {"user_id": user_id, "session_id": session_id}
    return payload if kept_session_id is None else {**payload, "kept_session_id": kept_session_id}


def role_changed(user_id: int, role: Role) -> dict[str, Any]:
    """Returns the payload of ROLE_CHANGED."""
    return {"user_id": user_id, "role": role.value}


def standing_changed(user_id: int) -> dict[str, Any]:
    """Returns the payload of STANDING_CHANGED."""
    return {"user_id": user_id}


def category_changed(category_id: int) -> dict[str, Any]:
    """Returns the payload of CATEGORY_CHANGED."""
    return {"category_id": category_id}


def seller_changed(user_id: int) -> dict[str, Any]:
    """Returns the payload of SELLER_CHANGED."""
    return {"user_id": user_id}


def blocks_changed(user_id: int) -> dict[str, Any]:
    """Returns the payload of BLOCKS_CHANGED: the user who blocks."""
    return {"user_id": user_id}


def catch_up(seconds: float) -> dict[str, Any]:
    """Returns the payload of CATCH_UP: broadcasts of the last `seconds` seconds may be lost."""
    return {"seconds": seconds}


def report(user_id: int | None = None) -> dict[str, Any]:
    """Returns the payload of REPORT: the user, or None for the gateway itself."""
    return {"user_id": user_id}
