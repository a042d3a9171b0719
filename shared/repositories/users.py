"""SQL about users: accounts, roles and bans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import psycopg2.errors

from shared.access.policy import Action
from shared.domain.email_addresses import account_of
from shared.domain.mails import TO_ANY_ADDRESS, MailKind, NewLink, Purpose, TooManyLinks
from shared.domain.sanctions import BannedAlready, StaffProtected, may_sanction
from shared.domain.users import (
    Account,
    Ban,
    EmailTaken,
    LastAdmin,
    NoLongerAllowed,
    PasswordChanged,
    PublicUser,
    Role,
    Standing,
    User,
    UserNotFound,
)
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import may_still
from shared.repositories.audit import record
from shared.repositories.bans import is_banned
from shared.repositories.mail_links import (
    MailLinkRepository,
    forget_links,
    owner_of_link,
    spend_links,
    use_link,
)
from shared.repositories.outbox import Outbox, forget_mails
from shared.repositories.returning import Returning

_IS_BANNED = is_banned("u")
_COLUMNS = f"""u.id, u.email, u.name, u.role, u.created_at, u.banned_at, u.banned_until, u.ban_reason,
    {_IS_BANNED}, u.confirmed_at IS NOT NULL, u.must_confirm, u.new_email, u.is_suspended, u.has_warning,
    u.takes_requests"""
_WIDTH = 15
"""The number of these columns."""


_STANDINGS = Statement(
    "user_standings",
    f"""SELECT asked.user_id, asked.session_id, u.name, u.role, {_IS_BANNED}, s.revoked_at IS NOT NULL,
               CASE WHEN s.id IS NULL THEN floor(extract(epoch FROM u.tokens_valid_after))::bigint END,
               u.role <> 'user' AND NOT u.has_second_factor, u.must_confirm, u.has_warning,
               CASE WHEN u.role = 'user' THEN floor(extract(epoch FROM u.created_at))::bigint ELSE 0 END
        FROM unnest($1, $2) AS asked (user_id, session_id)
        JOIN users u ON u.id = asked.user_id AND u.deleted_at IS NULL
        LEFT JOIN sessions s ON s.id = asked.session_id""",
    ("bigint[]", "text[]"),
)
_CREATE = Statement(
    "user_create",
    f"""INSERT INTO users AS u (email, email_account, name, password_hash, confirmed_at, must_confirm)
        VALUES ($1, $2, $3, $4, CASE WHEN $5 THEN now() END, $6)
        ON CONFLICT DO NOTHING RETURNING {_COLUMNS}""",
    ("text", "text", "text", "text", "boolean", "boolean"),
)
_BY_ID = Statement(
    "user_by_id", f"SELECT {_COLUMNS} FROM users u WHERE u.id = $1 AND u.deleted_at IS NULL", ("bigint",)
)
# An address of earlier versions that turned out to be another account's is found as it was typed then, before that one.
_BY_EMAIL = Statement(
    "user_by_email",
    f"""SELECT {_COLUMNS}, u.password_hash, u.email_account FROM users u
        WHERE u.email_account IN ($1, lower($2)) AND u.deleted_at IS NULL
        ORDER BY u.email_account = lower($2) DESC LIMIT 1""",
    ("text", "text"),
)
_PUBLIC = Statement(
    "user_public",
    "SELECT id, name, role, created_at FROM users WHERE id = $1 AND deleted_at IS NULL",
    ("bigint",),
)
_EXISTED = Statement("user_existed", "SELECT id FROM users WHERE id = $1", ("bigint",))
_PASSWORD_HASH = Statement(
    "user_password_hash", "SELECT password_hash FROM users WHERE id = $1 AND deleted_at IS NULL", ("bigint",)
)
_SET_PASSWORD_HASH = Statement(
    "user_set_password_hash",
    "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
    ("bigint", "text", "text"),
)
# The trigger makes a plain account of a changed address; this gives it the right one.
_SET_EMAIL_ACCOUNT = Statement(
    "user_set_email_account", "UPDATE users SET email_account = $2 WHERE id = $1", ("bigint", "text")
)
_UPDATE = Statement(
    "user_update",
    f"""UPDATE users AS u SET name = coalesce($2, name), email = coalesce($3, email),
                             password_hash = coalesce($4, password_hash),
                             takes_requests = coalesce($6, takes_requests)
        WHERE id = $1 AND deleted_at IS NULL AND ($5 IS NULL OR password_hash = $5) RETURNING {_COLUMNS}""",
    ("bigint", "text", "text", "text", "text", "boolean"),
)
_LOCK = Statement(
    "user_lock", f"SELECT {_COLUMNS} FROM users u WHERE u.id = $1 AND u.deleted_at IS NULL FOR UPDATE", ("bigint",)
)
_SET_NEW_EMAIL = Statement(
    "user_set_new_email",
    f"""UPDATE users AS u SET new_email = $2, confirmed_at = CASE WHEN $3 THEN confirmed_at END
        WHERE id = $1 RETURNING {_COLUMNS}""",
    ("bigint", "text", "boolean"),
)
_CONFIRM = Statement(
    "user_confirm",
    f"""UPDATE users AS u SET email = $2, email_account = $3, confirmed_at = now(), must_confirm = false,
                             new_email = NULL
        WHERE id = $1 AND deleted_at IS NULL RETURNING {_COLUMNS}""",
    ("bigint", "text", "text"),
)
_FORGET_NEW_EMAIL = Statement(
    "user_forget_new_email",
    f"UPDATE users AS u SET new_email = NULL WHERE id = $1 RETURNING {_COLUMNS}",
    ("bigint",),
)
# What waits for the mail server was written for the person, not for the address. Some kinds are about an address.
_READDRESS = Statement(
    "user_readdress_mail",
    f"""UPDATE outbox SET address = $2 WHERE user_id = $1 AND given_up_at IS NULL
        AND kind NOT IN ({", ".join(f"'{kind}'" for kind in (*TO_ANY_ADDRESS, MailKind.ADDRESS_CHANGED))})""",
    ("bigint", "text"),
)
_PROVE = Statement(
    "user_prove",
    f"""UPDATE users AS u SET confirmed_at = coalesce(confirmed_at, now()), must_confirm = false, new_email = NULL
        WHERE id = $1 RETURNING {_COLUMNS}""",
    ("bigint",),
)
_FREE = Statement("user_free", "UPDATE users SET must_confirm = false WHERE must_confirm")
_REVOKE_SESSIONS = Statement(
    "user_revoke_sessions",
    """UPDATE sessions SET revoked_at = now(), revoked_because = $3
       WHERE user_id = $1 AND id IS DISTINCT FROM $2 AND revoked_at IS NULL RETURNING id""",
    ("bigint", "text", "text"),
)
_END_TOKENS = Statement(
    "user_end_tokens", "UPDATE users SET tokens_valid_after = clock_timestamp() WHERE id = $1", ("bigint",)
)
_KEEP_TOKEN = Statement(
    "user_keep_token",
    "INSERT INTO sessions (id, user_id, expires_at) VALUES ($2, $1, to_timestamp($3)) ON CONFLICT DO NOTHING",
    ("bigint", "text", "double precision"),
)
# In one order, so that two of these transactions never wait for each other.
_LOCK_ADMINS_AND = Statement(
    "user_lock_admins_and",
    f"""SELECT u.id, u.role, {_IS_BANNED} FROM users u
        WHERE (u.id = ANY ($1) OR u.role = 'admin') AND u.deleted_at IS NULL ORDER BY u.id FOR UPDATE""",
    ("bigint[]",),
)
_SET_ROLE = Statement(
    "user_set_role", f"UPDATE users AS u SET role = $2 WHERE id = $1 RETURNING {_COLUMNS}", ("bigint", "text")
)
_BAN = Statement(
    "user_ban",
    f"""UPDATE users AS u SET banned_at = now(), banned_until = $2, ban_reason = $3, banned_by = $4,
                             is_suspended = $5
        WHERE id = $1 AND deleted_at IS NULL RETURNING {_COLUMNS}""",
    ("bigint", "timestamptz", "text", "bigint", "boolean"),
)
_UNBAN = Statement(
    "user_unban",
    """UPDATE users SET banned_at = NULL, banned_until = NULL, ban_reason = NULL, banned_by = NULL, is_suspended = false
       WHERE id = $1 AND deleted_at IS NULL AND banned_at IS NOT NULL AND (is_suspended OR NOT $2)""",
    ("bigint", "boolean"),
)
_TRASH_LISTINGS = Statement(
    "user_trash_listings",
    """UPDATE listings SET trashed_at = now(), trashed_by = $1, trashed_reason = 'account removed'
       WHERE seller_id = $1 AND trashed_at IS NULL""",
    ("bigint",),
)
_DELETE = Statement(
    "user_delete",
    """UPDATE users SET deleted_at = now(), email = NULL, new_email = NULL, password_hash = NULL, name = '',
              role = 'user',
              banned_at = NULL, banned_until = NULL, banned_by = NULL, ban_reason = NULL, is_suspended = false
       WHERE id = $1 AND deleted_at IS NULL""",
    ("bigint",),
)


_DELETE_FACTORS = tuple(
    Statement(f"user_delete_{table}", f"DELETE FROM {table} WHERE user_id = $1", ("bigint",))
    for table in ("second_factors", "recovery_codes", "passkeys")
)


class KeptToken(NamedTuple):
    """The token of a request, which stays valid while all other tokens of its user end."""

    session_id: str
    expires_at: int
    """Seconds since the epoch."""


class UserRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(
        self, database: Database | Transaction, *, has_mail: bool = False, returning: Returning | None = None
    ) -> None:
        """`has_mail` says whether people are told of a new password by mail.

        `returning` keeps people blocked who leave and come back; commands, with which nobody leaves, have none.
        """
        self._database = database
        self._returning = returning
        self._has_mail = has_mail

    def within(self, transaction: Transaction) -> UserRepository:
        """Returns this repository in a transaction."""
        return UserRepository(transaction, has_mail=self._has_mail, returning=self._returning)

    async def standings(self, pairs: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Standing]:
        """Returns standings by (user id, session id), with one statement; users who do not exist are absent."""
        rows = await self._database.fetch(_STANDINGS, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
        return {(row[0], row[1]): Standing(row[2], Role(row[3]), *row[4:]) for row in rows}

    async def create(
        self, email: str, name: str, password_hash: str, *, link: NewLink | None = None, must_confirm: bool = False
    ) -> User:
        """Create a user and return them. Raises EmailTaken.

        With a link, the address is not confirmed yet, and a mail with the link goes to it.
        """
        account = account_of(email)
        async with self._database.transaction() as transaction:
            row = await transaction.fetch_one(_CREATE, email, account, name, password_hash, link is None, must_confirm)
            if row is None:
                raise EmailTaken
            user = _user(row)
            if link is not None:
                await self._send_link(transaction, user, user.email, link)
            if not must_confirm:
                user = await self._has_address(transaction, user)
            return user

    async def by_id(self, user_id: int) -> User:
        """Returns the user. Raises UserNotFound."""
        return _found(await self._database.fetch_one(_BY_ID, user_id))

    async def public(self, user_id: int) -> PublicUser:
        """Returns the user's public profile. Raises UserNotFound."""
        row = await self._database.fetch_one(_PUBLIC, user_id)
        if row is None:
            raise UserNotFound
        return public_user(row)

    async def require_existed(self, user_id: int) -> None:
        """Raises UserNotFound if the user never existed: deleted accounts may still have conversations."""
        if await self._database.fetch_one(_EXISTED, user_id) is None:
            raise UserNotFound

    async def id_by_email(self, email: str) -> int:
        """Returns the id of the user with this address. Raises UserNotFound."""
        account = await self.for_login(email)
        if account.user is None:
            raise UserNotFound
        return account.user.id

    async def for_login(self, email: str) -> Account:
        """Returns the account that somebody wants to log in to, by any spelling of its address."""
        name = account_of(email)
        row = await self._database.fetch_one(_BY_EMAIL, name, email.strip())
        return Account(name, None, None) if row is None else Account(row[_WIDTH + 1], _user(row), row[_WIDTH])

    async def password_hash(self, user_id: int) -> str:
        """Returns the hash of the user's password. Raises UserNotFound."""
        row = await self._database.fetch_one(_PASSWORD_HASH, user_id)
        if row is None:
            raise UserNotFound
        return str(row[0])

    async def replace_password_hash(self, user_id: int, old: str, new: str) -> bool:
        """Store a hash of the same password with current parameters. Returns False if the hash is no longer `old`."""
        return await self._database.execute(_SET_PASSWORD_HASH, user_id, old, new) > 0

    async def update(
        self,
        user_id: int,
        *,
        kept: KeptToken,
        name: str | None = None,
        email: str | None = None,
        password_hash: str | None = None,
        checked_hash: str | None = None,
        link: NewLink | None = None,
        most_links: int = 1,
        must_confirm: bool = False,
        takes_requests: bool | None = None,
    ) -> User:
        """Change the fields that are not None. Returns the user. A new password ends all tokens except `kept`.

        With a link, a mail with it goes to the new address, and another one tells the old address. With `must_confirm`,
        the new address counts only when the link has been used. An address that waits for its link is forgotten with a
        new password, or with the present address once more: then somebody wants to undo a change, perhaps somebody
        else's. `most_links` is how many links an account gets in the time of one. `checked_hash` is the hash of the
        current password that was checked, if it was. Raises EmailTaken, TooManyLinks, PasswordChanged or UserNotFound.
        """
        try:
            async with self._database.transaction() as transaction:
                before = _found(await transaction.fetch_one(_LOCK, user_id))
                wanted, is_other = email, email is not None and account_of(email) != account_of(before.email)
                if is_other and must_confirm:
                    email = None
                row = await transaction.fetch_one(
                    _UPDATE, user_id, name, email, password_hash, checked_hash, takes_requests
                )
                if row is None:
                    await _require_password(transaction, user_id, checked_hash)
                user = _found(row)
                if email is not None:
                    await transaction.execute(_SET_EMAIL_ACCOUNT, user_id, account_of(email))
                    await transaction.execute(_READDRESS, user_id, email)
                if is_other and wanted is not None:
                    user = await self._new_address(
                        transaction, user, before.email, wanted, link, most=most_links, must_confirm=must_confirm
                    )
                elif before.new_email is not None and (email is not None or password_hash is not None):
                    user = _found(await transaction.fetch_one(_FORGET_NEW_EMAIL, user_id))
                    await spend_links(transaction, user_id, Purpose.ADDRESS)
                if email is not None or password_hash is not None:
                    await forget_links(transaction, user_id, Purpose.PASSWORD_RESET)
                if password_hash is not None:
                    await end_other_tokens(transaction, user_id, kept, "password changed")
                    await self._tell_of_password(transaction, user)
                return user
        except psycopg2.errors.UniqueViolation:
            raise EmailTaken from None

    async def reset_password(self, link: str, password_hash: str) -> User:
        """Use a link up, by its hash, and store the new password. Ends all sessions, tokens and other links.

        The link has shown whose address it is. So the address is confirmed now, and no other one replaces it. If it was
        not confirmed before, somebody else may have made the account: their second factor and passkeys are removed.
        Raises LinkUsed or UserNotFound.
        """
        async with self._database.transaction() as transaction:
            user_id = await owner_of_link(transaction, link, Purpose.PASSWORD_RESET)
            before = _found(await transaction.fetch_one(_LOCK, user_id))
            await use_link(transaction, link, Purpose.PASSWORD_RESET)
            if not before.is_confirmed:
                for statement in _DELETE_FACTORS:
                    await transaction.execute(statement, user_id)
            _found(await transaction.fetch_one(_UPDATE, user_id, None, None, password_hash, None, None))
            user = _found(await transaction.fetch_one(_PROVE, user_id))
            await transaction.execute(_END_TOKENS, user_id)
            await transaction.execute(_REVOKE_SESSIONS, user_id, None, "password changed")
            await forget_links(transaction, user_id)
            await self._tell_of_password(transaction, user)
            return await self._has_address(transaction, user)

    async def _new_address(
        self,
        transaction: Transaction,
        user: User,
        old: str,
        new: str,
        link: NewLink | None,
        *,
        most: int,
        must_confirm: bool,
    ) -> User:
        if must_confirm and await UserRepository(transaction).is_taken(new):
            raise EmailTaken
        await spend_links(transaction, user.id, Purpose.ADDRESS)
        pending = new if must_confirm else None
        is_confirmed = must_confirm or link is None
        changed = _found(await transaction.fetch_one(_SET_NEW_EMAIL, user.id, pending, is_confirmed))
        # Otherwise one account could send mails to any number of people.
        if link is not None and not await self._send_link(transaction, changed, new, link, most=most):
            raise TooManyLinks
        if not must_confirm:
            changed = await self._has_address(transaction, changed)
        await self._tell_old_address(transaction, changed, old, new, is_done=not must_confirm)
        return changed

    async def is_taken(self, email: str) -> bool:
        """Whether another account has this address already."""
        return (await self.for_login(email)).user is not None

    async def confirm_address(self, link: str) -> User:
        """Use a link up, by its hash: the address to which it was sent is the user's, and is confirmed.

        Raises LinkUsed, EmailTaken or UserNotFound.
        """
        try:
            async with self._database.transaction() as transaction:
                user_id = await owner_of_link(transaction, link, Purpose.ADDRESS)
                before = _found(await transaction.fetch_one(_LOCK, user_id))
                address = await use_link(transaction, link, Purpose.ADDRESS)
                assert address is not None
                user = _found(await transaction.fetch_one(_CONFIRM, user_id, address, account_of(address)))
                await spend_links(transaction, user_id, Purpose.ADDRESS)
                if account_of(before.email) != account_of(address):
                    await forget_links(transaction, user_id, Purpose.PASSWORD_RESET)
                    await transaction.execute(_READDRESS, user_id, address)
                    await self._tell_old_address(transaction, user, before.email, address, is_done=True)
                return await self._has_address(transaction, user)
        except psycopg2.errors.UniqueViolation:
            raise EmailTaken from None

    async def _has_address(self, transaction: Transaction, user: User) -> User:
        """Returns the user, with those who block them by that."""
        if self._returning is None:
            return user
        return replace(user, blocked_anew_by=await self._returning.has_address(transaction, user))

    async def send_link_again(self, user_id: int, link: NewLink, *, most: int) -> bool:
        """Send another link to the address that is not confirmed yet. Returns False if there is none.

        Also returns False if `most` links work already. Raises UserNotFound.
        """
        async with self._database.transaction() as transaction:
            user = _found(await transaction.fetch_one(_LOCK, user_id))
            if user.is_confirmed and user.new_email is None:
                return False
            return await self._send_link(transaction, user, user.new_email or user.email, link, most=most)

    async def _send_link(
        self, transaction: Transaction, user: User, address: str, link: NewLink, *, most: int = 1
    ) -> bool:
        links = MailLinkRepository(transaction)
        is_made = await links.make(
            link.hash, user.id, Purpose.ADDRESS, seconds=link.seconds, most=most, address=address
        )
        if is_made:
            outbox, facts = Outbox(transaction, is_on=self._has_mail), {"seed": link.seed}
            await outbox.add(MailKind.ADDRESS_CONFIRM, user.id, facts, address=address, useful_seconds=link.seconds)
        return is_made

    async def _tell_old_address(
        self, transaction: Transaction, user: User, old: str, new: str, *, is_done: bool
    ) -> None:
        facts = {"name": user.name, "new": new, "is_done": is_done}
        await Outbox(transaction, is_on=self._has_mail).add(MailKind.ADDRESS_CHANGED, user.id, facts, address=old)

    async def _tell_of_password(self, transaction: Transaction, user: User) -> None:
        await Outbox(transaction, is_on=self._has_mail).add(MailKind.PASSWORD_CHANGED, user.id, {"name": user.name})

    async def delete(self, user_id: int, *, checked_hash: str | None = None) -> None:
        """Delete the account: its listings go to the trash, its messages stay. erasure.py erases the rest later.

        `checked_hash` is the hash of the password that was checked, if it was. Raises LastAdmin, PasswordChanged or
        UserNotFound.
        """
        async with self._database.transaction() as transaction:
            (await lock_people(transaction, user_id, by=None)).require_another_admin()
            await _require_password(transaction, user_id, checked_hash)
            user = _found(await transaction.fetch_one(_LOCK, user_id))
            if self._returning is not None:
                await self._returning.leaves(transaction, user)
            await transaction.execute(_DELETE, user_id)
            await transaction.execute(_TRASH_LISTINGS, user_id)
            await transaction.execute(_REVOKE_SESSIONS, user_id, None, "account removed")
            for statement in _DELETE_FACTORS:
                await transaction.execute(statement, user_id)
            await forget_mails(transaction, user_id)
            await forget_links(transaction, user_id)

    async def set_role(self, user_id: int, role: Role, *, by: int | None) -> tuple[User, bool]:
        """Set the role. Returns the user, and whether it was a change. `by` is None on the command line.

        Raises UserNotFound, LastAdmin or NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            locked = await lock_people(transaction, user_id, by=by, action=Action.ROLE_CHANGE)
            before = locked.role
            if before is None:
                raise UserNotFound
            if role is not Role.ADMIN:
                locked.require_another_admin()
            user = _found(await transaction.fetch_one(_SET_ROLE, user_id, role.value))
            is_change = before is not role
            if is_change and by is not None:
                details = {"from": before.value, "to": role.value}
                await record(transaction, by, "role_change", "user", user_id, details=details)
            return user, is_change

    async def ban(self, user_id: int, *, until: datetime | None, reason: str, by: int) -> User:
        """Ban the user, or change the existing ban. Raises UserNotFound, LastAdmin or NoLongerAllowed."""
        async with self._database.transaction() as transaction:
            locked = await lock_people(transaction, user_id, by=by, action=Action.BAN_CHANGE)
            locked.require_another_admin()
            user = _found(await transaction.fetch_one(_BAN, user_id, until, reason, by, False))
            details = {"until": until.isoformat() if until else None}
            await record(transaction, by, "ban", "user", user_id, reason=reason, details=details)
            return user

    async def suspend(self, user_id: int, *, until: datetime, reason: str, by: int) -> User:
        """Ban the user for a time, or change an existing suspension.

        Raises UserNotFound, StaffProtected, BannedAlready, LastAdmin or NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            locked = await lock_people(transaction, user_id, by=by, action=Action.USER_SUSPEND)
            locked.require_below()
            locked.require_another_admin()
            before = _found(await transaction.fetch_one(_BY_ID, user_id))
            if before.ban is not None and not before.ban.is_suspension:
                raise BannedAlready
            user = _found(await transaction.fetch_one(_BAN, user_id, until, reason, by, True))
            await record(
                transaction, by, "suspend", "user", user_id, reason=reason, details={"until": until.isoformat()}
            )
            return user

    async def unban(self, user_id: int, *, by: int) -> bool:
        """End the user's ban or suspension. Returns whether there was one. Raises UserNotFound or NoLongerAllowed."""
        return await self._unban(user_id, by, Action.BAN_CHANGE, "unban", is_suspension=False)

    async def end_suspension(self, user_id: int, *, by: int) -> bool:
        """End the user's suspension, and no ban. Returns whether there was one. Raises as `unban` does."""
        return await self._unban(user_id, by, Action.USER_SUSPEND, "unsuspend", is_suspension=True)

    async def _unban(self, user_id: int, by: int, action: Action, name: str, *, is_suspension: bool) -> bool:
        async with self._database.transaction() as transaction:
            await lock_people(transaction, user_id, by=by, action=action)
            if await transaction.execute(_UNBAN, user_id, is_suspension):
                await record(transaction, by, name, "user", user_id)
                return True
            if await transaction.fetch_one(_PUBLIC, user_id) is None:
                raise UserNotFound
            return False

    async def find(
        self, *, text: str | None, role: Role | None, banned: bool | None, before_id: int | None, limit: int
    ) -> list[User]:
        """Returns users, newest first, whose name or e-mail address contains the text, or whose address it is."""
        conditions, parameters = ["u.deleted_at IS NULL"], list[Any]()
        if text is not None:
            conditions.append("(u.name || ' ' || coalesce(u.email, '') ILIKE %s OR u.email_account = %s)")
            parameters += [f"%{_like_escaped(text)}%", account_of(text)]
        if role is not None:
            # A literal, not a parameter: only a literal lets the planner use the partial indexes.
            conditions.append(f"u.role = '{role.value}'")
        if banned is not None:
            conditions.append(_IS_BANNED if banned else f"NOT {_IS_BANNED}")
        if before_id is not None:
            conditions.append("u.id < %s")
            parameters.append(before_id)
        sql = f"SELECT {_COLUMNS} FROM users u WHERE {' AND '.join(conditions)} ORDER BY u.id DESC LIMIT %s"
        return [_user(row) for row in await self._database.fetch(Statement("", sql), *parameters, limit)]


async def free_everybody(transaction: Transaction) -> bool:
    """Let everybody publish and write first, confirmed or not. Returns True: it is done in one step."""
    await transaction.execute(_FREE)
    return True


async def end_other_tokens(transaction: Transaction, user_id: int, kept: KeptToken, because: str) -> None:
    """End all sessions and tokens of the user except the kept one, also tokens without a session."""
    await transaction.execute(_END_TOKENS, user_id)
    # A kept token without a session gets one now, because a token with a stored session does not end by its age.
    await transaction.execute(_KEEP_TOKEN, user_id, *kept)
    await transaction.execute(_REVOKE_SESSIONS, user_id, kept.session_id, because)


async def _require_password(transaction: Transaction, user_id: int, checked_hash: str | None) -> None:
    """Raises PasswordChanged if the password is not the one that was checked, UserNotFound if the user has left."""
    row = await transaction.fetch_one(_PASSWORD_HASH, user_id)
    if row is None:
        raise UserNotFound
    if checked_hash is not None and row[0] != checked_hash:
        raise PasswordChanged


@dataclass(frozen=True, slots=True)
class Locked:
    """A user whose row is locked, together with the rows of all admins."""

    role: Role | None
    """None if the user does not exist."""
    is_last_admin: bool
    """True if the user is an admin, and there is no other admin who is not banned."""
    by_role: Role | None = None
    """The role of the actor; None without one."""

    def require_another_admin(self) -> None:
        """Raises LastAdmin if the user is the last one."""
        if self.is_last_admin:
            raise LastAdmin

    def require_below(self) -> None:
        """Raises UserNotFound, or StaffProtected if the actor may not warn or suspend the user."""
        if self.role is None:
            raise UserNotFound
        if self.by_role is not None and not may_sanction(self.by_role, self.role):
            raise StaffProtected


async def lock_people(
    transaction: Transaction, user_id: int, *, by: int | None, action: Action | None = None
) -> Locked:
    """Lock the user, the actor `by` and all admins, so that two admins cannot demote or ban each other at once.

    Raises NoLongerAllowed if the actor may not do the action now.
    """
    rows = await transaction.fetch(_LOCK_ADMINS_AND, [user_id] if by is None else [user_id, by])
    users = {row[0]: (Role(row[1]), bool(row[2])) for row in rows}
    if by is not None and action is not None:
        role_now, is_banned = users.get(by, (Role.USER, True))
        if is_banned or not may_still(by, role_now, action):
            raise NoLongerAllowed
    role = users[user_id][0] if user_id in users else None
    others = [
        one for one, (kind, is_banned) in users.items() if kind is Role.ADMIN and not is_banned and one != user_id
    ]
    by_role = users[by][0] if by in users else None
    return Locked(role, role is Role.ADMIN and not others, by_role)


def _like_escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _found(row: tuple[Any, ...] | None) -> User:
    if row is None:
        raise UserNotFound
    return _user(row)


def _user(row: tuple[Any, ...]) -> User:
    ban = Ban(row[5], row[6], row[7] or "", row[12]) if row[8] else None
    return User(row[0], row[1], row[2], Role(row[3]), row[4], ban, row[9], row[10], row[11], row[13], row[14])


def public_user(row: tuple[Any, ...]) -> PublicUser:
    """Returns the user of a row that begins with `id, name, role, created_at`."""
    return PublicUser(row[0], row[1], Role(row[2]), row[3])
