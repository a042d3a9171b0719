"""Passwords by Argon2, on threads of their own: hashing would hold up the event loop for everyone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.problems import Unavailable
from shared.settings import Settings

Result = TypeVar("Result")

# OWASP's figures for Argon2id with the least memory that it recommends.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# What the password of somebody unknown is compared with, so that it takes as long as that of somebody known.
_NOBODYS = _hasher.hash("nobody has this password")


def hash_now(password: str) -> str:
    """On the calling thread, for commands."""
    return _hasher.hash(password)


class Passwords:
    """At most `password_workers` at once; raises Unavailable when too many wait."""

    def __init__(self, settings: Settings) -> None:
        self._executor = ThreadPoolExecutor(settings.password_workers, thread_name_prefix="password")
        self._max_waiting = settings.max_waiting_passwords
        self._waiting = 0

    async def hash(self, password: str) -> str:
        return await self._run(lambda: _hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Takes as long for None, which is the hash of somebody unknown, and is never right."""
        is_right = await self._run(lambda: _verify(password_hash or _NOBODYS, password))
        return is_right and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return _hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= self._max_waiting:
            raise Unavailable("Too many log-ins at once.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._waiting -= 1


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
