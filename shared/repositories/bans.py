"""Who is banned, as a condition in SQL: the one that every statement asks."""

from __future__ import annotations


def is_banned(user: str) -> str:
    """The condition over the row of a user, by its name in the statement: banned, and not until a time that is past."""
    return f"({user}.banned_at IS NOT NULL AND ({user}.banned_until IS NULL OR {user}.banned_until > now()))"
