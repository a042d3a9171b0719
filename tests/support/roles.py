"""The address of a test's database for roles that may do more than the processes' role."""

from __future__ import annotations

from development.postgres import OWNER, ROLE, SUPERUSER


def as_owner(database_url: str) -> str:
    """Returns the address for the role that owns the database and changes the schema."""
    return _as(OWNER, database_url)


def as_superuser(database_url: str) -> str:
    """Returns the address for the superuser of the test's server."""
    return _as(SUPERUSER, database_url)


def _as(role: str, database_url: str) -> str:
    url = database_url.replace(f"//{ROLE}@", f"//{role}@")
    assert url != database_url
    return url
