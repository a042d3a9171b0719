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
    redis_url: str
    api_url: str
    gateway_urls: list[str]


def find_running(data_directory: Path) -> tuple[str, str] | None:
    """Returns the database URL and the Redis URL of the `make run` on this data directory; None if none is running."""
    running = read_running(data_directory)
    if running is None or not _is_claimed(data_directory):
        return None
    return running.database_url, running.redis_url


def with_servers(settings: Settings) -> Settings:
    """Returns settings with both servers: missing ones are those of a running `make run`. Raises InvalidSettings."""
    if settings.database_url and settings.redis_url:
        return settings
    found = find_running(settings.data_directory)
    if found is None:
        missing = " and ".join(name for name in ("DATABASE_URL", "REDIS_URL") if not getattr(settings, name.lower()))
        raise InvalidSettings(f"{missing}: not set, and no `make run` is running on {settings.data_directory}")
    database_url, redis_url = found
    return replace(
        settings, database_url=settings.database_url or database_url, redis_url=settings.redis_url or redis_url
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
