"""SQL about second factors: seeds are stored encrypted, recovery codes hashed, and no code counts twice."""

from __future__ import annotations

from collections.abc import Sequence

from shared.access.policy import Action
from shared.access.vault import Locked, Vault
from shared.domain.mails import LoginChange
from shared.domain.second_factor import SecondFactor, SecondFactorOff, SecondFactorOn
from shared.domain.users import UserNotFound
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require
from shared.repositories.audit import record
from shared.repositories.login_changes import tell_of_login_change
from shared.repositories.users import KeptToken, end_other_tokens
from shared.settings import Settings

_MOST = 100
_STATE = Statement(
    "second_factor_state",
    """SELECT f.confirmed_at, (SELECT count(*) FROM recovery_codes c WHERE c.user_id = f.user_id AND c.used_at IS NULL)
       FROM second_factors f WHERE f.user_id = $1""",
    ("bigint",),
)
_BEGIN = Statement(
    "second_factor_begin",
    """INSERT INTO second_factors AS f (user_id, seed) SELECT id, $2 FROM users WHERE id = $1 AND deleted_at IS NULL
       ON CONFLICT (user_id) DO UPDATE SET seed = excluded.seed, begun_at = now() WHERE f.confirmed_at IS NULL""",
    ("bigint", "text"),
)
_SEED = Statement("second_factor_seed", "SELECT seed, confirmed_at FROM second_factors WHERE user_id = $1", ("bigint",))
_TAKE = Statement(
    "second_factor_take",
    "UPDATE second_factors SET last_step = $2 WHERE user_id = $1 AND last_step < $2",
    ("bigint", "bigint"),
)
_CONFIRM = Statement(
    "second_factor_confirm",
    """UPDATE second_factors SET confirmed_at = now(), last_step = $3
       WHERE user_id = $1 AND seed = $2 AND confirmed_at IS NULL AND last_step < $3""",
    ("bigint", "text", "bigint"),
)
_DELETE = Statement(
    "second_factor_delete",
    "DELETE FROM second_factors WHERE user_id = $1 RETURNING confirmed_at IS NOT NULL",
    ("bigint",),
)
_DELETE_CODES = Statement("recovery_codes_delete", "DELETE FROM recovery_codes WHERE user_id = $1", ("bigint",))
_ADD_CODES = Statement(
    "recovery_codes_add", "INSERT INTO recovery_codes (user_id, hash) SELECT $1, unnest($2)", ("bigint", "text[]")
)
_USE_CODE = Statement(
    "recovery_code_use",
    "UPDATE recovery_codes SET used_at = now() WHERE user_id = $1 AND hash = $2 AND used_at IS NULL",
    ("bigint", "text"),
)
_OF_OTHER_KEYS = Statement(
    "second_factors_of_other_keys",
    """SELECT user_id, seed FROM second_factors WHERE split_part(seed, '.', 1) <> $1 AND user_id > $2
       ORDER BY user_id LIMIT $3""",
    ("text", "bigint", "integer"),
)
_LOCK_ANEW = Statement(
    "second_factor_lock_anew",
    "UPDATE second_factors SET seed = $3 WHERE user_id = $1 AND seed = $2",
    ("bigint", "text", "text"),
)
_EXISTS = Statement("second_factor_user", "SELECT FROM users WHERE id = $1 AND deleted_at IS NULL", ("bigint",))


def vault_of(settings: Settings) -> Vault:
    """Returns what encrypts the seeds."""
    return Vault(settings.jwt_secrets, "seeds of second factors")


class SecondFactorRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction, vault: Vault, *, has_mail: bool) -> None:
        """`has_mail` says whether people are told of a change by mail."""
        self._database = database
        self._has_mail = has_mail
        self._vault = vault

    async def state(self, user_id: int) -> SecondFactor:
        """Returns the account's second factor; one that waits for its first code is off."""
        row = await self._database.fetch_one(_STATE, user_id)
        return SecondFactor(None, 0) if row is None or row[0] is None else SecondFactor(row[0], row[1])

    async def begin(self, user_id: int, seed: str) -> None:
        """Store a seed that waits for its first code. Raises SecondFactorOn if a second factor is on."""
        if not await self._database.execute(_BEGIN, user_id, self._vault.locked(user_id, seed)):
            raise SecondFactorOn

    async def seed(self, user_id: int, *, is_on: bool) -> str:
        """Returns the seed of the factor that is on, or of the one that waits for its first code.

        Raises SecondFactorOff if there is none. A seed that no secret opens any more fits no code: Locked.
        """
        row = await self._database.fetch_one(_SEED, user_id)
        if row is None or (row[1] is not None) is not is_on:
            raise SecondFactorOff
        return self._vault.opened(user_id, row[0])

    async def take(self, user_id: int, step: int) -> bool:
        """Note that a code of this step was used. Returns False if one of this step or a later one was used before."""
        return await self._database.execute(_TAKE, user_id, step) > 0

    async def use_recovery_code(self, user_id: int, code_hash: str) -> bool:
        """Note that the recovery code was used. Returns False if there is none, or it was used before."""
        return await self._database.execute(_USE_CODE, user_id, code_hash) > 0

    async def confirm(self, user_id: int, step: int, code_hashes: Sequence[str], kept: KeptToken) -> None:
        """Turn the waiting factor on with its first code; all sessions but the kept one end. Raises SecondFactorOff."""
        async with self._database.transaction() as transaction:
            row = await transaction.fetch_one(_SEED, user_id)
            if row is None or not await transaction.execute(_CONFIRM, user_id, row[0], step):
                raise SecondFactorOff
            await _set_codes(transaction, user_id, code_hashes)
            await end_other_tokens(transaction, user_id, kept, "second factor turned on")
            await self._tell(transaction, user_id, LoginChange.SECOND_FACTOR_ON)

    async def set_codes(self, user_id: int, code_hashes: Sequence[str]) -> None:
        """Replace the recovery codes, used and unused."""
        async with self._database.transaction() as transaction:
            await _set_codes(transaction, user_id, code_hashes)
            await self._tell(transaction, user_id, LoginChange.RECOVERY_CODES)

    async def remove(self, user_id: int, *, by: int | None) -> bool:
        """Turn the second factor off. Returns whether there was one. `by` is None for the owner and the command line.

        Raises UserNotFound, or NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            if by is not None:
                await require(transaction, by, Action.SECOND_FACTOR_REMOVE)
            if await transaction.fetch_one(_EXISTS, user_id) is None:
                raise UserNotFound
            await transaction.execute(_DELETE_CODES, user_id)
            removed = await transaction.fetch_one(_DELETE, user_id)
            if by is not None and removed is not None:
                await record(transaction, by, "second_factor_remove", "user", user_id)
            # One that waited for its first code was never on.
            if removed is not None and removed[0]:
                await self._tell(transaction, user_id, LoginChange.SECOND_FACTOR_OFF)
            return removed is not None

    async def _tell(self, transaction: Transaction, user_id: int, what: LoginChange) -> None:
        await tell_of_login_change(transaction, user_id, what, has_mail=self._has_mail)


async def lock_anew(vault: Vault, transaction: Transaction) -> bool:
    """Encrypt seeds of older secrets with the first one. Returns True: it is done in one step, because they are few."""
    last = 0
    while rows := await transaction.fetch(_OF_OTHER_KEYS, vault.key_name, last, _MOST):
        for user_id, locked in rows:
            last = user_id
            try:
                seed = vault.opened(user_id, locked)
            except Locked:
                continue
            await transaction.execute(_LOCK_ANEW, user_id, locked, vault.locked(user_id, seed))
    return True


async def _set_codes(transaction: Transaction, user_id: int, code_hashes: Sequence[str]) -> None:
    await transaction.execute(_DELETE_CODES, user_id)
    await transaction.execute(_ADD_CODES, user_id, list(code_hashes))
