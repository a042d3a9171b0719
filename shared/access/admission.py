"""Decides whom an access token admits. Only this module decides that, for both processes.

A valid token alone admits nobody: its user must be registered and not banned, and its session must not have ended.
Postgres is asked about every token that a client sends. Concurrent questions share one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, Self

from shared.access.actor import Actor
from shared.access.tokens import InvalidToken, Tokens
from shared.domain.users import Role, Standing
from shared.repositories.shared_reads import SharedReads
from shared.settings import Settings

MOST_SHARED = 500
"""The most tokens that one statement asks about."""


class Refused(Exception):
    """The token admits nobody. The message gives the reason and never has the token."""

    reason: ClassVar[str]
    """The reason in logs and metrics: one text for each subclass."""

    def __init__(self, detail: str = "", *, user_id: int | None = None) -> None:
        """`user_id` is the user of the token; None if unknown."""
        super().__init__(detail or self.reason)
        self.user_id = user_id


class BadToken(Refused):
    """The token is missing, malformed, expired or has a wrong signature."""

    reason = "bad token"


class UserGone(Refused):
    """The user has deleted the account, or never existed."""

    reason = "no such user"


class SessionEnded(Refused):
    """The session was logged out or ended in another way."""

    reason = "logged out"


class Banned(Refused):
    """The user is banned now."""

    reason = "banned"


class Admit(Protocol):
    """`Admission.admit`, or a substitute that needs no Postgres."""

    async def __call__(self, token: str) -> Actor:
        """Raises Refused, or DatabaseUnavailable while Postgres cannot be asked."""


class Source(Protocol):
    """The part of `UserRepository` that admission needs."""

    async def standings(self, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Standing]: ...


class Admission:
    """All methods except `close` raise DatabaseUnavailable while Postgres is away.

    Each answer is read after its question was asked. Statements are shared within one Admission only.
    """

    def __init__(
        self, tokens: Tokens, users: Source, *, staff_needs_second_factor: bool = False, new_account_days: int = 0
    ) -> None:
        """`staff_needs_second_factor`: without one, moderators and admins have the role of a user.

        `new_account_days`: so long an account is new.
        """
        self._new_seconds = new_account_days * 24 * 3600
        self._staff_needs_second_factor = staff_needs_second_factor
        self._tokens = tokens
        self._standings = SharedReads(users.standings, most=MOST_SHARED)

    @classmethod
    def of(cls, settings: Settings, tokens: Tokens, users: Source) -> Self:
        return cls(
            tokens,
            users,
            staff_needs_second_factor=settings.second_factor_for_staff,
            new_account_days=settings.new_account_days,
        )

    async def admit(self, token: str) -> Actor:
        """Returns the token's user as Postgres knows them now. Raises BadToken, UserGone, SessionEnded or Banned."""
        try:
            claims = self._tokens.verify(token)
        except InvalidToken as error:
            raise BadToken(str(error)) from None
        standing = await self._standings.get_now((claims.user_id, claims.session_id))
        return self._actor_if_welcome(standing, claims.user_id, claims.session_id, claims.expires_at, claims.issued_at)

    async def readmit(self, actor: Actor) -> Actor:
        """Returns an admitted user as Postgres knows them now. Raises UserGone, SessionEnded or Banned."""
        standing = await self._standings.get((actor.user_id, actor.session_id))
        return self._actor_if_welcome(
            standing, actor.user_id, actor.session_id, actor.token_expires_at, actor.token_issued_at
        )

    async def is_registered(self, user_id: int) -> bool:
        """True if the user exists, banned or not."""
        return await self._standings.get((user_id, "")) is not None

    async def close(self) -> None:
        """Wait until all questions are answered."""
        await self._standings.close()

    def _actor_if_welcome(
        self, standing: Standing | None, user_id: int, session_id: str, token_expires_at: int, token_issued_at: int
    ) -> Actor:
        if standing is None:
            raise UserGone(user_id=user_id)
        # Both times have whole seconds. Tokens of the second of the change cannot be told apart, so all of them end.
        since = standing.tokens_valid_after
        if standing.is_revoked or (since is not None and token_issued_at <= since):
            raise SessionEnded(user_id=user_id)
        if standing.is_banned:
            raise Banned(user_id=user_id)
        new_until = standing.created_at + self._new_seconds if self._new_seconds and standing.created_at else 0
        is_held_back = standing.lacks_second_factor and self._staff_needs_second_factor
        return Actor(
            user_id,
            session_id,
            Role.USER if is_held_back else standing.role,
            standing.name,
            token_expires_at,
            token_issued_at,
            is_held_back,
            standing.must_confirm,
            standing.has_warning,
            new_until,
        )
