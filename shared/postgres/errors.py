"""The one failure of the database that callers handle; every other error is our own mistake, and is not converted."""

from __future__ import annotations


class DatabaseUnavailable(Exception):
    """Postgres is away, frozen, restarting or overloaded: try again later.

    A statement that was under way may have taken effect all the same.
    """
