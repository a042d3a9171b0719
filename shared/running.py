"""Finds the servers of a running `make run`, by a file in the data directory that is valid while a lock is held.

`development/claim.py` writes the file and holds the lock.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from shared.settings import InvalidSettings, Settings

LOCK = "lock"
RUNNING = "running.json"


@dataclass(frozen=True)
class Running:
    """The servers of a running `make run`."""

    pid: int
    database_url: str
    owner_url: str
    """The database for the role that may change its schema."""
    redis_url: str
    api_url: str
    gateway_urls: list[str]


def find_running(data_directory: Path) -> Running | None:
    """Returns the servers of the `make run` on this data directory; None if none is running."""
    running = read_running(data_directory)
    return running if running is not None and _is_claimed(data_directory) else None


def with_servers(settings: Settings, *, is_owner: bool = False, needs_redis: bool = True) -> Settings:
    """Returns settings with both servers: missing ones are those of a running `make run`. Raises InvalidSettings.

    Its database is given for the processes' role, or for the role that may change the schema if `is_owner`. Without
    `needs_redis`, `REDIS_URL` may stay empty.
    """
    needed = ("DATABASE_URL", "REDIS_URL") if needs_redis else ("DATABASE_URL",)
    missing = " and ".join(name for name in needed if not getattr(settings, name.lower()))
    if not missing:
        return settings
    found = find_running(settings.data_directory)
    if found is None:
        raise InvalidSettings(f"{missing}: not set, and no `make run` is running on {settings.data_directory}")
    database_url = found.owner_url if is_owner else found.database_url
    return replace(
        settings, database_url=settings.database_url or database_url, redis_url=settings.redis_url or found.redis_url
    )


def read_running(data_directory: Path) -> Running | None:
    """Returns the content of the file, even if its writer no longer runs; None if there is no valid file."""
    try:
        return Running(**json.loads((data_directory / RUNNING).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_claimed(data_directory: Path) -> bool:
    try:
        descriptor = os.open(data_directory / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        # A shared lock: two commands that check at the same time must not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
