"""The one failure of the database that callers handle; every other error is a mistake of ours and stays as it is."""

from __future__ import annotations


class DatabaseUnavailable(Exception):
    """Postgres is away, frozen, restarting or overloaded: nothing can be said of the statement, try again later.

    A statement that changes something may have taken effect all the same when the connection broke under it.
    """
