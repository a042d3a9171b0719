"""Hashes and checks passwords with Argon2, on threads, because hashing would block the event loop."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from enum import Enum
from typing import TypeVar
from weakref import WeakValueDictionary

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.problems import Unavailable
from shared.domain.passwords import prepared, writings
from shared.settings import Settings

Result = TypeVar("Result")


class Match(Enum):
    """How a right password fits its hash; in the order in which both are tried."""

    PREPARED = "prepared"
    AS_TYPED = "as typed"


# OWASP's parameters for Argon2id with the least memory.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

NICENESS = 5
"""By so much lower is the priority of hashing: on a busy core it gets a quarter of the time, and requests the rest."""

# The hash for log-ins of unknown users, which then take as long as log-ins of known users.
_NOBODYS = _hasher.hash("nobody has this password")


def hash_now(password: str) -> str:
    """Returns the hash of a password, made on the calling thread; for commands."""
    return _hasher.hash(prepared(password))


class Passwords:
    """Hashes at most `password_workers` passwords at once. `hash` and `verify` raise Unavailable if too many wait."""

    def __init__(self, settings: Settings) -> None:
        self._executor = ThreadPoolExecutor(
            settings.password_workers, thread_name_prefix="password", initializer=_yield_to_others
        )
        self._max_waiting = settings.max_waiting_passwords
        self._waiting = 0
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def hash(self, password: str) -> str:
        """Returns the hash of a password."""
        return await self._run(lambda: hash_now(password), nullcontext())

    async def verify(self, password_hash: str | None, password: str, *, turn: str) -> Match | None:
        """Returns how the password fits, None if it is wrong. For an unknown user (no hash) it takes as long.

        Those with the same `turn` are compared one after the other: many guesses at one account at once leave the other
        threads to other people.

        It compares the password as it is prepared now, and then as typed, as it was stored before there was this form.
        How often it compares a wrong one depends only on what was typed, and not on the account.
        """
        found = await self._run(lambda: _match(password_hash or _NOBODYS, password), self._turn(turn))
        return found if password_hash is not None else None

    def is_outdated(self, password_hash: str, match: Match) -> bool:
        """True if the password should be hashed anew: the hash is of another writing, or has other parameters."""
        return match is Match.AS_TYPED or _hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        """Drop the passwords that still wait, without waiting for the threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _turn(self, name: str) -> asyncio.Lock:
        # It lives as long as somebody holds it or waits for it.
        return self._turns.setdefault(name, asyncio.Lock())

    async def _run(self, work: Callable[[], Result], turn: AbstractAsyncContextManager[None]) -> Result:
        if self._waiting >= self._max_waiting:
            raise Unavailable("Too many log-ins at once.")
        self._waiting += 1
        try:
            async with turn:
                return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._waiting -= 1


def _yield_to_others() -> None:
    # Elsewhere this would slow down the whole process.
    if sys.platform == "linux":
        # A sandbox may forbid it.
        with suppress(OSError):
            os.nice(NICENESS)


def _match(password_hash: str, typed: str) -> Match | None:
    for password, match in zip(writings(typed), Match, strict=False):
        if _verify(password_hash, password):
            return match
    return None


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
