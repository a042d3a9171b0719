"""The SQL condition for banned users, which every statement uses."""

from __future__ import annotations


def is_banned(user: str) -> str:
    """Returns the condition: the user's row has a ban that has not run out. `user` is the alias of the table."""
    return f"({user}.banned_at IS NOT NULL AND ({user}.banned_until IS NULL OR {user}.banned_until > now()))"
