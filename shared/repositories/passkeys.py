"""SQL about passkeys, and about the challenges that were answered, so that no answer counts twice."""

from __future__ import annotations

from datetime import datetime

from shared.domain.mails import LoginChange
from shared.domain.passkeys import (
    MAX_PASSKEYS,
    NewPasskey,
    Passkey,
    PasskeyKnown,
    PasskeyNotFound,
    PasskeyOfUser,
    PasskeyRefused,
    TooManyPasskeys,
)
from shared.postgres import Database, Statement, Transaction
from shared.repositories.login_changes import tell_of_login_change

_OF_USER = Statement(
    "passkeys_of_user",
    "SELECT id, name, created_at, used_at, credential_id FROM passkeys WHERE user_id = $1 ORDER BY id",
    ("bigint",),
)
_LOCK = Statement(
    "passkeys_lock_user", "SELECT FROM users WHERE id = $1 AND deleted_at IS NULL FOR UPDATE", ("bigint",)
)
_COUNT = Statement("passkeys_count", "SELECT count(*) FROM passkeys WHERE user_id = $1", ("bigint",))
_ADD = Statement(
    "passkey_add",
    """INSERT INTO passkeys (user_id, credential_id, public_key, sign_count, name) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT DO NOTHING RETURNING id, name, created_at, used_at""",
    ("bigint", "text", "text", "bigint", "text"),
)
_DELETE = Statement("passkey_delete", "DELETE FROM passkeys WHERE id = $1 AND user_id = $2", ("bigint", "bigint"))
_FIND = Statement(
    "passkey_find",
    """SELECT p.id, p.user_id, p.public_key, p.sign_count FROM passkeys p
       JOIN users u ON u.id = p.user_id AND u.deleted_at IS NULL WHERE p.credential_id = $1""",
    ("text",),
)
_USE = Statement(
    "passkey_use",
    "UPDATE passkeys SET sign_count = $2, used_at = now() WHERE id = $1 AND (sign_count < $2 OR sign_count = 0)",
    ("bigint", "bigint"),
)
_SPEND = Statement(
    "challenge_spend",
    """WITH swept AS (DELETE FROM spent_challenges WHERE expires_at < now())
       INSERT INTO spent_challenges (challenge, expires_at) VALUES ($1, now() + make_interval(secs => $2))
       ON CONFLICT DO NOTHING""",
    ("text", "double precision"),
)


class PasskeyRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database, *, has_mail: bool) -> None:
        """`has_mail` says whether people are told of a new key by mail."""
        self._database = database
        self._has_mail = has_mail

    async def of_user(self, user_id: int) -> list[Passkey]:
        """Returns the user's keys, oldest first."""
        return [_passkey(row) for row in await self._database.fetch(_OF_USER, user_id)]

    async def credentials(self, user_id: int) -> list[str]:
        """Returns the ids of the user's keys on their devices, in base64url."""
        return [str(row[4]) for row in await self._database.fetch(_OF_USER, user_id)]

    async def add(self, user_id: int, new: NewPasskey, *, challenge: str, seconds: float) -> Passkey:
        """Store a key. Raises PasskeyRefused if its challenge was answered before, TooManyPasskeys or PasskeyKnown."""
        async with self._database.transaction() as transaction:
            await _spend(transaction, challenge, seconds)
            await transaction.fetch(_LOCK, user_id)
            [[count]] = await transaction.fetch(_COUNT, user_id)
            if count >= MAX_PASSKEYS:
                raise TooManyPasskeys
            values = new.credential_id, new.public_key, new.sign_count, new.name
            row = await transaction.fetch_one(_ADD, user_id, *values)
            if row is None:
                raise PasskeyKnown
            await tell_of_login_change(transaction, user_id, LoginChange.PASSKEY_ADDED, has_mail=self._has_mail)
            return _passkey(row)

    async def delete(self, user_id: int, passkey_id: int) -> None:
        """Delete one of the user's keys. Raises PasskeyNotFound."""
        if not await self._database.execute(_DELETE, passkey_id, user_id):
            raise PasskeyNotFound

    async def find(self, credential_id: str) -> PasskeyOfUser:
        """Returns the key that a device names. Raises PasskeyRefused."""
        row = await self._database.fetch_one(_FIND, credential_id)
        if row is None:
            raise PasskeyRefused
        return PasskeyOfUser(*row)

    async def use(self, passkey_id: int, sign_count: int, *, challenge: str, seconds: float) -> None:
        """Note a log-in with the key. Raises PasskeyRefused if the challenge was answered before, also just now.

        A device that counts its answers counts upwards: otherwise there is a copy of it.
        """
        async with self._database.transaction() as transaction:
            await _spend(transaction, challenge, seconds)
            if not await transaction.execute(_USE, passkey_id, sign_count):
                raise PasskeyRefused


async def _spend(transaction: Transaction, challenge: str, seconds: float) -> None:
    if not await transaction.execute(_SPEND, challenge, seconds):
        raise PasskeyRefused


def _passkey(row: tuple[object, ...]) -> Passkey:
    number, name, created_at, used_at, *_ = row
    assert isinstance(number, int)
    assert isinstance(created_at, datetime)
    assert used_at is None or isinstance(used_at, datetime)
    return Passkey(number, str(name), created_at, used_at)
