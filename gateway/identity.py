"""Who is on a connection, and how the gateway finds out."""

from __future__ import annotations

import math
from typing import Protocol

import msgspec


class Identity(msgspec.Struct, gc=False):
    """The user of a connection. `expires_at`, in seconds since the epoch, is that of the last token handed in.

    `as_of` is when it was asked what user and session are worth, in the loop's time: what became of them since may
    have reached this node before the connection was there.
    """

    user_id: int
    expires_at: float
    session_id: str | None = None
    role: str = "user"
    name: str = ""
    as_of: float = math.inf


class Refused(Exception):
    """The token is missing, bad or expired, or its user may not connect."""


class Authenticator(Protocol):
    async def __call__(self, token: str) -> Identity:
        """Raises Refused; DatabaseUnavailable where it cannot be known now."""
