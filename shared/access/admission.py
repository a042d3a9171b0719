"""Decides whom an access token admits. Both processes ask it, and nothing else decides that.

A good token alone admits nobody: its user must be registered and not banned, and its session must not have ended.
Postgres is asked about every token that is shown. Those who are asked about at the same time share one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from shared.access.actor import Actor
from shared.access.tokens import InvalidToken, Tokens
from shared.domain.users import Standing
from shared.repositories.shared_reads import SharedReads

MOST_SHARED = 500
"""How many tokens one statement asks about at most."""


class Refused(Exception):
    """The token admits nobody. The message says why, and never holds the token."""

    reason: ClassVar[str]
    """Why, as logs and metrics name it: one text for each subclass."""

    def __init__(self, detail: str = "", *, user_id: int | None = None) -> None:
        """`user_id`: whose token it is; None if that is not known."""
        super().__init__(detail or self.reason)
        self.user_id = user_id


class BadToken(Refused):
    """The token is missing, malformed, expired or not signed by us."""

    reason = "bad token"


class UserGone(Refused):
    """The user has left, or never was."""

    reason = "no such user"


class SessionEnded(Refused):
    """The session was logged out, or ended otherwise."""

    reason = "logged out"


class Banned(Refused):
    """The user is banned now."""

    reason = "banned"


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
        raise UserGone(user_id=user_id)
    if standing.is_revoked:
        raise SessionEnded(user_id=user_id)
    if standing.is_banned:
        raise Banned(user_id=user_id)
    return Actor(user_id, session_id, standing.role, standing.name, token_expires_at)
