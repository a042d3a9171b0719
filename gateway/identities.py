"""Looks up users' role, ban and session state; concurrent look-ups share one statement.

When a node's clients all come back at once, this is what keeps their connects from being a query each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.domain.users import Identity as Person
from shared.repositories.shared_reads import SharedReads

MOST_SHARED = 500
"""What one statement looks up at most: people, or listings."""


class Source(Protocol):
    """`UserRepository`."""

    async def identities(self, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Person]: ...


class Identities:
    """One for each process: only those who ask the same one share statements."""

    def __init__(self, users: Source) -> None:
        self._reads = SharedReads(users.identities, most=MOST_SHARED)

    async def find(self, user_id: int, session_id: str) -> Person | None:
        """A user, and whether the session was ended. None where there is no such user. Raises DatabaseUnavailable."""
        return await self._reads.get((user_id, session_id))
