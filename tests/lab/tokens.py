"""Makes tokens that the lab admits: they name a user and an expiry, and nothing else."""

from __future__ import annotations

import time

import jwt

from tests.support.secret import JWT_SECRET


def token_of(user_id: int = 1, seconds: float = 3600.0, secret: str = JWT_SECRET) -> str:
    """A token of this user that expires after `seconds`."""
    return jwt.encode({"sub": str(user_id), "exp": time.time() + seconds}, secret, "HS256")
