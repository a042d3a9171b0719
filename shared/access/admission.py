"""Decides whom an access token admits. Both processes ask it, and nothing else decides that.

A good token alone admits nobody: its user must be registered and not banned, and its session must not have ended.
Postgres is asked about every token that is shown. Those who are asked about at the same time share one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.access.actor import Actor
from shared.access.tokens import InvalidToken, Tokens
from shared.domain.users import Standing
from shared.repositories.shared_reads import SharedReads

MOST_SHARED = 500
"""How many tokens one statement asks about at most."""


class Refused(Exception):
    """The token admits nobody. The message says why, and never holds the token."""


class BadToken(Refused):
    """The token is missing, malformed, expired or not signed by us."""


class UserGone(Refused):
    """The user has left, or never was."""


class SessionEnded(Refused):
    """The session was logged out, or ended otherwise."""


class Banned(Refused):
    """The user is banned now."""


class Admit(Protocol):
    """`Admission.admit`, or what stands in for it where there is no Postgres."""

    async def __call__(self, token: str) -> Actor:
        """Raises Refused, and DatabaseUnavailable where nobody can know now."""


class Source(Protocol):
    """`UserRepository`."""

    async def standings(self, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Standing]: ...


class Admission:
    """Every method but `close` raises DatabaseUnavailable when Postgres is away.

    No answer is older than its question. Only those who ask the same Admission share statements.
    """

    def __init__(self, tokens: Tokens, users: Source) -> None:
        self._tokens = tokens
        self._standings = SharedReads(users.standings, most=MOST_SHARED)

    async def admit(self, token: str) -> Actor:
        """The token's user as Postgres knows them now. Raises BadToken, UserGone, SessionEnded, Banned."""
        try:
            claims = self._tokens.verify(token)
        except InvalidToken as error:
            raise BadToken(str(error)) from None
        standing = await self._standings.get_now((claims.user_id, claims.session_id))
        return _welcome(standing, claims.user_id, claims.session_id, claims.expires_at)

    async def readmit(self, actor: Actor) -> Actor:
        """Somebody who was admitted before, as Postgres knows them now. Raises UserGone, SessionEnded, Banned."""
        standing = await self._standings.get((actor.user_id, actor.session_id))
        return _welcome(standing, actor.user_id, actor.session_id, actor.token_expires_at)

    async def is_registered(self, user_id: int) -> bool:
        """Whether there is such a user, banned or not."""
        return await self._standings.get((user_id, "")) is not None

    async def close(self) -> None:
        """Wait until everything that was asked is answered."""
        await self._standings.close()


def _welcome(standing: Standing | None, user_id: int, session_id: str, token_expires_at: int) -> Actor:
    if standing is None:
        raise UserGone("no such user")
    if standing.is_revoked:
        raise SessionEnded("logged out")
    if standing.is_banned:
        raise Banned("banned")
    return Actor(user_id, session_id, standing.role, standing.name, token_expires_at)
