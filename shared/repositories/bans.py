"""The SQL condition by which every statement decides whether a user is banned."""

from __future__ import annotations


def is_banned(user: str) -> str:
    """The condition. `user` is the alias of the users table: the row has a ban, and the ban has not run out."""
    return f"({user}.banned_at IS NOT NULL AND ({user}.banned_until IS NULL OR {user}.banned_until > now()))"
