"""Looks up what people are worth now, many in one statement.

When a node's clients all come back at once, this is what keeps their connects from being a query each.
"""

from __future__ import annotations

from shared.domain.users import Identity as Person
from shared.repositories.shared_reads import SharedReads
from shared.repositories.users import UserRepository

MOST_SHARED = 500
"""What one statement looks up at most: people, or listings."""


class Identities:
    """One for each process."""

    def __init__(self, users: UserRepository) -> None:
        self._reads = SharedReads(users.identities, most=MOST_SHARED)

    async def find(self, user_id: int, session_id: str) -> Person | None:
        """A user, and whether the session was ended. None where there is no such user. Raises DatabaseUnavailable."""
        return await self._reads.get((user_id, session_id))
