"""The one failure of the database that callers handle. All other errors are faults of the code."""

from __future__ import annotations


class DatabaseUnavailable(Exception):
    """Postgres is away, frozen, restarting or overloaded: try again later.

    A statement that was under way may still have taken effect.
    """
