"""SQL about sessions: they begin at log-in, are extended by refresh tokens, and can be ended at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from shared.access.policy import Action
from shared.domain.users import PasswordChanged, Place, Session, SessionNotFound
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require
from shared.repositories.audit import record
from shared.repositories.bans import is_banned
from shared.repositories.users import KeptToken, end_other_tokens

NOWHERE = Place()

# This also deletes the user's expired sessions, so that their rows do not accumulate.
_BEGIN = Statement(
    "session_begin",
    """WITH swept AS (DELETE FROM sessions WHERE user_id = $2 AND expires_at < now()), owner AS MATERIALIZED (
           SELECT id FROM users WHERE id = $2 AND deleted_at IS NULL AND password_hash = $4
             AND ($7 OR NOT has_second_factor) FOR SHARE
       )
       INSERT INTO sessions (id, user_id, expires_at, device, address)
       SELECT $1, id, now() + make_interval(secs => $3), $5, $6 FROM owner""",
    ("text", "bigint", "double precision", "text", "text", "text", "boolean"),
)
_LOCK = Statement(
    "session_lock",
    f"""SELECT s.user_id, s.generation, s.revoked_at IS NULL AND u.deleted_at IS NULL, {is_banned("u")},
              coalesce(clock_timestamp() - s.rotated_at < make_interval(secs => $2), false),
              extract(epoch FROM s.expires_at - now())::float8,
              extract(epoch FROM s.created_at - now())::float8
       FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1 FOR UPDATE OF s""",
    ("text", "double precision"),
)
_ROTATE = Statement(
    "session_rotate",
    """UPDATE sessions SET generation = generation + 1, rotated_at = clock_timestamp(),
              expires_at = now() + make_interval(secs => $2), device = $3, address = $4
       WHERE id = $1""",
    ("text", "double precision", "text", "text"),
)
_REVOKE = Statement(
    "session_revoke",
    """INSERT INTO sessions (id, user_id, expires_at, revoked_at, revoked_because) VALUES ($1, $2, $3, now(), $4)
       ON CONFLICT (id) DO UPDATE SET revoked_at = coalesce(sessions.revoked_at, now()),
           revoked_because = coalesce(sessions.revoked_because, excluded.revoked_because),
           expires_at = greatest(sessions.expires_at, excluded.expires_at)""",
    ("text", "bigint", "timestamptz", "text"),
)
_END = Statement(
    "session_end",
    "UPDATE sessions SET revoked_at = now(), revoked_because = $2 WHERE id = $1 AND revoked_at IS NULL",
    ("text", "text"),
)


_OF_USER = Statement(
    "session_of_user",
    """SELECT id, created_at, expires_at, coalesce(rotated_at, created_at), device, address FROM sessions
       WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()
         AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
       ORDER BY created_at DESC, id DESC LIMIT $4""",
    ("bigint", "timestamptz", "text", "integer"),
)


_END_OF_USER = Statement(
    "session_end_of_user",
    """UPDATE sessions SET revoked_at = now(), revoked_because = 'logged out elsewhere'
       WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > now()""",
    ("text", "bigint"),
)


class Refresh(Enum):
    """The result of using a refresh token."""

    ROTATED = "rotated"
    BANNED = "banned"
    REUSED = "reused"
    """The token was used again after its grace period. Someone else may have it, so the session was ended."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class RefreshOutcome:
    """The result of a refresh, and the user of the session (0 if there is no session)."""

    outcome: Refresh
    user_id: int = 0
    generation: int = 0
    """The generation whose token is valid now."""
    seconds_left: float = 0.0
    """How long the session lasts if it is not refreshed again."""


class SessionRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def begin(
        self,
        session_id: str,
        user_id: int,
        seconds: float,
        *,
        checked_hash: str,
        needs_no_code: bool = False,
        place: Place = NOWHERE,
    ) -> None:
        """Begin a session with generation 0, which expires after `seconds` unless it is refreshed.

        `checked_hash` is the hash of the password that was checked. `needs_no_code`: a code of the second factor was
        checked as well, or a passkey stands for both. Raises PasswordChanged if the user has left, or has another
        password or a second factor now: the change has ended all sessions, and this one would outlive it.
        """
        values = session_id, user_id, seconds, checked_hash, place.device, place.address, needs_no_code
        if not await self._database.execute(_BEGIN, *values):
            raise PasswordChanged

    async def refresh(
        self,
        session_id: str,
        generation: int,
        seconds: float,
        *,
        longest_seconds: float,
        grace_seconds: float,
        place: Place = NOWHERE,
    ) -> RefreshOutcome:
        """Exchange a generation for the next one, which is valid for `seconds`.

        But no session lasts longer than `longest_seconds` from its log-in (OWASP ASVS 5.0, 7.3.2).
        The old generation may be used again for `grace_seconds`, because the answer may have been lost, or two tabs
        may have asked at once: this returns the same next generation and changes nothing. Any other use of an old
        generation is a reuse, which ends the session.
        """
        async with self._database.transaction() as transaction:
            row: tuple[Any, ...] | None = await transaction.fetch_one(_LOCK, session_id, grace_seconds)
            if row is None:
                return RefreshOutcome(Refresh.ENDED)
            user_id, current, is_alive, is_banned, is_just_rotated, left, begun_in = row
            most = begun_in + longest_seconds
            # Tokens last for whole seconds.
            if not is_alive or min(left, most) < 1:
                return RefreshOutcome(Refresh.ENDED, user_id)
            is_repeated = generation == current - 1 and is_just_rotated
            if generation != current and not is_repeated:
                await transaction.execute(_END, session_id, "refresh token reused")
                return RefreshOutcome(Refresh.REUSED, user_id)
            if is_banned:
                return RefreshOutcome(Refresh.BANNED, user_id)
            if is_repeated:
                return RefreshOutcome(Refresh.ROTATED, user_id, current, min(left, most))
            left = min(seconds, most)
            await transaction.execute(_ROTATE, session_id, left, place.device, place.address)
            return RefreshOutcome(Refresh.ROTATED, user_id, current + 1, left)

    async def of_user(self, user_id: int, *, before: tuple[datetime, str] | None, limit: int) -> list[Session]:
        """Returns the sessions that have not ended, latest first; `before` is the time and id of the last one seen."""
        since, last_id = before or (None, None)
        rows = await self._database.fetch(_OF_USER, user_id, since, last_id, limit)
        return [Session(row[0], row[1], row[2], row[3], Place(row[4], row[5])) for row in rows]

    async def end(self, user_id: int, session_id: str) -> None:
        """End one of the user's sessions. Raises SessionNotFound."""
        if not await self._database.execute(_END_OF_USER, session_id, user_id):
            raise SessionNotFound

    async def end_of(self, user_id: int, session_id: str, *, by: int) -> None:
        """End somebody's session; the audit log says so. Raises SessionNotFound, NoLongerAllowed."""
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.SYSTEM_CHANGE)
            if not await transaction.execute(_END_OF_USER, session_id, user_id):
                raise SessionNotFound
            await record(transaction, by, "session_end", "user", user_id)

    async def end_others(self, user_id: int, kept: KeptToken) -> None:
        """End all of the user's sessions and tokens except one."""
        async with self._database.transaction() as transaction:
            await end_other_tokens(transaction, user_id, kept, "logged out everywhere else")

    async def revoke(self, session_id: str, user_id: int, expires_at: datetime, because: str) -> None:
        """End a session at once, also if it has no row. `expires_at` is the expiry of the token that named it."""
        await self._database.execute(_REVOKE, session_id, user_id, expires_at, because)
