"""Tells commands where the servers of a running `make run` are: by a file, which is valid while a lock is held."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType

from shared.settings import InvalidSettings, Settings

LOCK = "lock"
RUNNING = "running.json"
PATIENCE = 20


@dataclass(frozen=True)
class Running:
    """The servers of a running `make run`."""

    pid: int
    database_url: str
    redis_url: str
    api_url: str
    gateway_urls: list[str]


class AlreadyRunning(RuntimeError):
    """Another `make run` holds the data directory; the message is one line."""


class Claim:
    """The right to run on a data directory: a lock, which the kernel releases when this process dies."""

    def __init__(self, data_directory: Path) -> None:
        self._data_directory = data_directory
        self._descriptor = -1

    def __enter__(self) -> Claim:
        """Raises AlreadyRunning."""
        self._data_directory.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._data_directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        for _ in range(PATIENCE):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)  # The holder may be `find_running`, which checks the lock by taking it.
        else:
            os.close(self._descriptor)
            raise AlreadyRunning(_who(self._data_directory))
        (self._data_directory / RUNNING).unlink(missing_ok=True)  # The file of a `make run` that was killed.
        return self

    def announce(self, running: Running) -> None:
        """Let other commands find the servers. Only this user may read the file: a database URL can hold a password."""
        path = self._data_directory / RUNNING
        unfinished = path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(running), file)
        unfinished.rename(path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self._data_directory / RUNNING).unlink(missing_ok=True)
        os.close(self._descriptor)


def find_running(data_directory: Path) -> tuple[str, str] | None:
    """The database URL and the Redis URL of the `make run` that runs on a data directory now; None without one."""
    running = _read(data_directory)
    if running is None or not _is_claimed(data_directory):
        return None
    return running.database_url, running.redis_url


def with_servers(settings: Settings) -> Settings:
    """Settings that name both servers, if need be those of a running `make run`. Raises InvalidSettings."""
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


def _read(data_directory: Path) -> Running | None:
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
        # A shared lock, so that two commands that look at the same time do not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _who(data_directory: Path) -> str:
    running = _read(data_directory)
    where = f"process {running.pid}, {running.api_url}" if running else "it is starting or stopping"
    return f"Daveslist already runs on {data_directory} ({where})"
