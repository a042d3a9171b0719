"""SQL about sanctions: warnings, what was done to somebody before, and what people say against it.

Triggers in schema.sql enter each ban, suspension and hiding; users.py and listings.py give and end them. Locks are
taken in the order users, listings, sanctions.
"""

from __future__ import annotations

from typing import Any

from shared.access.policy import Action
from shared.domain.mails import MailKind
from shared.domain.sanctions import (
    MAX_UNREAD,
    AlreadyDecided,
    AlreadyObjected,
    AnotherDecides,
    Objection,
    Outcome,
    OwnSanction,
    Sanction,
    SanctionKind,
    SanctionNotFound,
)
from shared.domain.times import rfc3339_or_none
from shared.domain.users import Role
from shared.postgres import Database, Statement, Transaction
from shared.repositories.audit import record
from shared.repositories.bans import is_banned
from shared.repositories.listings import ListingRepository
from shared.repositories.locks import lock
from shared.repositories.outbox import Outbox
from shared.repositories.users import UserRepository, lock_people
from shared.repositories.visibility import effective_role

_COLUMNS = """s.id, s.kind, s.user_id, u.name, s.listing_id, l.title, s.by_id, g.name, s.reason, s.given_at, s.until,
    coalesce(s.ended_at, CASE WHEN s.until <= now() THEN s.until END), s.read_at,
    s.objection, s.objected_at, s.outcome, s.answer, s.decided_at, s.decided_by, d.name"""
_JOINED = """sanctions s JOIN users u ON u.id = s.user_id LEFT JOIN listings l ON l.id = s.listing_id
        LEFT JOIN users g ON g.id = s.by_id LEFT JOIN users d ON d.id = s.decided_by"""
_BY_ID = Statement("sanction_by_id", f"SELECT {_COLUMNS} FROM {_JOINED} WHERE s.id = $1", ("bigint",))
_OF_USER = Statement(
    "sanctions_of_user",
    f"SELECT {_COLUMNS} FROM {_JOINED} WHERE s.user_id = $1 AND s.id < $2 ORDER BY s.id DESC LIMIT $3",
    ("bigint", "bigint", "integer"),
)
_UNREAD = Statement(
    "sanctions_unread",
    f"""SELECT {_COLUMNS} FROM {_JOINED}
        WHERE s.user_id = $1 AND s.kind = 'warning' AND s.read_at IS NULL AND s.ended_at IS NULL
        ORDER BY s.id LIMIT $2""",
    ("bigint", "integer"),
)
_LATEST = Statement(
    "sanction_latest",
    f"""SELECT {_COLUMNS} FROM {_JOINED}
        WHERE s.user_id = $1 AND s.kind = ANY ($2) AND ($3::bigint IS NULL OR s.listing_id = $3)
          AND s.ended_at IS NULL ORDER BY s.id DESC LIMIT 1""",
    ("bigint", "text[]", "bigint"),
)
_WARN = Statement(
    "sanction_warn",
    "INSERT INTO sanctions (kind, user_id, by_id, reason) VALUES ('warning', $1, $2, $3) RETURNING id",
    ("bigint", "bigint", "text"),
)
_READ = Statement(
    "sanction_read",
    """UPDATE sanctions SET read_at = coalesce(read_at, now())
       WHERE id = $1 AND user_id = $2 AND kind = 'warning' RETURNING id""",
    ("bigint", "bigint"),
)
_OBJECT = Statement(
    "sanction_object",
    "UPDATE sanctions SET objection = $2, objected_at = now() WHERE id = $1 AND objected_at IS NULL RETURNING id",
    ("bigint", "text"),
)
_OBJECTIONS = Statement(
    "sanctions_open_objections",
    f"""SELECT {_COLUMNS} FROM {_JOINED}
        WHERE s.objected_at IS NOT NULL AND s.decided_at IS NULL AND u.deleted_at IS NULL
          AND ($1::timestamptz IS NULL OR (s.objected_at, s.id) > ($1, $2)) ORDER BY s.objected_at, s.id LIMIT $3""",
    ("timestamptz", "bigint", "integer"),
)
_OPEN = Statement(
    "sanctions_count_open",
    """SELECT count(*) FROM sanctions s JOIN users u ON u.id = s.user_id
       WHERE s.objected_at IS NOT NULL AND s.decided_at IS NULL AND u.deleted_at IS NULL""",
)
_ANOTHER = Statement(
    "sanction_another_decides",
    f"""SELECT EXISTS (SELECT FROM users u WHERE {effective_role("u")} = ANY ($3) AND u.id <> $1 AND u.id <> $2
                       AND u.deleted_at IS NULL AND NOT {is_banned("u")})""",
    ("bigint", "bigint", "text[]"),
)
_DECIDE = Statement(
    "sanction_decide",
    """UPDATE sanctions SET outcome = $2, answer = $3, decided_at = now(), decided_by = $4,
              ended_at = CASE WHEN $2 = 'lifted' THEN coalesce(ended_at, now()) ELSE ended_at END
       WHERE id = $1 AND objected_at IS NOT NULL AND decided_at IS NULL RETURNING id""",
    ("bigint", "text", "text", "bigint"),
)

BANS = (SanctionKind.BAN, SanctionKind.SUSPENSION)


class SanctionRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction, *, has_mail: bool) -> None:
        """`has_mail` says whether people are told by mail too."""
        self._database = database
        self._has_mail = has_mail

    async def by_id(self, sanction_id: int) -> Sanction:
        """Returns the sanction. Raises SanctionNotFound."""
        return _found(await self._database.fetch_one(_BY_ID, sanction_id))

    async def of_user(self, user_id: int, *, before_id: int, limit: int) -> list[Sanction]:
        """Returns what was done to the user, latest first: those with ids below `before_id`."""
        return [_sanction(row) for row in await self._database.fetch(_OF_USER, user_id, before_id, limit)]

    async def unread(self, user_id: int) -> list[Sanction]:
        """Returns the first MAX_UNREAD warnings that the user has not read, oldest first."""
        return [_sanction(row) for row in await self._database.fetch(_UNREAD, user_id, MAX_UNREAD)]

    async def latest(self, user_id: int, *kinds: SanctionKind, listing_id: int | None = None) -> Sanction | None:
        """Returns the user's last sanction of these kinds that has not ended; None if there is none."""
        row = await self._database.fetch_one(_LATEST, user_id, [kind.value for kind in kinds], listing_id)
        return None if row is None else _sanction(row)

    async def warn(self, user_id: int, reason: str, *, by: int) -> Sanction:
        """Warn the user. Raises UserNotFound, OwnSanction, StaffProtected or NoLongerAllowed."""
        async with self._database.transaction() as transaction:
            locked = await lock_people(transaction, user_id, by=by, action=Action.USER_WARN)
            locked.require_below()
            [[sanction_id]] = await transaction.fetch(_WARN, user_id, by, reason)
            await record(transaction, by, "warn", "user", user_id, reason=reason)
            warning = _found(await transaction.fetch_one(_BY_ID, sanction_id))
            await self._mail(transaction, MailKind.WARNED, warning, {"reason": reason})
            return warning

    async def read(self, sanction_id: int, user_id: int) -> None:
        """Note that the user has read the warning. Raises SanctionNotFound."""
        async with self._database.transaction() as transaction:
            await lock(transaction, "users", user_id, by=user_id)
            if await transaction.fetch_one(_READ, sanction_id, user_id) is None:
                raise SanctionNotFound

    async def object(self, sanction_id: int, text: str) -> Sanction:
        """Store what the person says against the sanction. Raises SanctionNotFound or AlreadyObjected."""
        is_new = await self._database.fetch_one(_OBJECT, sanction_id, text) is not None
        sanction = await self.by_id(sanction_id)
        if not is_new:
            raise AlreadyObjected
        return sanction

    async def objections(self, after: tuple[Any, int] | None, limit: int) -> list[Sanction]:
        """Returns the sanctions with an objection that nobody has decided, the first one first.

        `after` is the time of the last objection that was read, and the id of its sanction.
        """
        since, last_id = after or (None, None)
        return [_sanction(row) for row in await self._database.fetch(_OBJECTIONS, since, last_id, limit)]

    async def open_count(self) -> int:
        """Returns the number of objections that nobody has decided."""
        row = await self._database.fetch_one(_OPEN)
        return int(row[0]) if row else 0

    async def decide(self, sanction_id: int, outcome: Outcome, answer: str, *, by: int) -> Sanction:
        """Decide about the objection. A sanction that is lifted, and has not ended yet, ends.

        Whoever gave the sanction decides only if nobody else may: for a ban no other admin, else no other moderator or
        admin. Raises SanctionNotFound, OwnSanction, AnotherDecides, AlreadyDecided or NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            before = _found(await transaction.fetch_one(_BY_ID, sanction_id))
            is_ban = before.kind is SanctionKind.BAN
            action = Action.BAN_CHANGE if is_ban else Action.OBJECTION_DECIDE
            await lock_people(transaction, before.user_id, by=by, action=action)
            if before.objection is None:
                raise SanctionNotFound
            if before.user_id == by:
                raise OwnSanction
            if before.by_id == by:
                roles = [Role.ADMIN.value] if is_ban else [Role.MODERATOR.value, Role.ADMIN.value]
                row = await transaction.fetch_one(_ANOTHER, by, before.user_id, roles)
                if row is not None and row[0]:
                    raise AnotherDecides
            if outcome is Outcome.LIFTED:
                await self._lift(transaction, before, by)
            if await transaction.fetch_one(_DECIDE, sanction_id, outcome.value, answer, by) is None:
                raise AlreadyDecided
            details = {"sanction_id": sanction_id, "kind": before.kind.value, "outcome": outcome.value}
            await record(transaction, by, "objection_decide", "user", before.user_id, reason=answer, details=details)
            facts = {"outcome": outcome.value, "answer": answer}
            await self._mail(transaction, MailKind.OBJECTION_DECIDED, before, facts)
            return _found(await transaction.fetch_one(_BY_ID, sanction_id))

    async def _lift(self, transaction: Transaction, sanction: Sanction, by: int) -> None:
        if sanction.ended_at is not None:
            return
        users = UserRepository(transaction, has_mail=self._has_mail)
        match sanction.kind:
            case SanctionKind.BAN:
                await users.unban(sanction.user_id, by=by)
            case SanctionKind.SUSPENSION:
                await users.end_suspension(sanction.user_id, by=by)
            case SanctionKind.HIDING if sanction.listing_id is not None:
                listings = ListingRepository(transaction, has_mail=self._has_mail)
                await listings.show(sanction.listing_id, by=by)

    async def _mail(self, transaction: Transaction, kind: MailKind, sanction: Sanction, facts: dict[str, Any]) -> None:
        about = {
            "name": sanction.user_name,
            "sanction": sanction.kind.value,
            "title": sanction.listing_title,
            "until": rfc3339_or_none(sanction.until),
            "sanction_id": sanction.id,
        }
        await Outbox(transaction, is_on=self._has_mail).add(kind, sanction.user_id, {**about, **facts})


def _found(row: tuple[Any, ...] | None) -> Sanction:
    if row is None:
        raise SanctionNotFound
    return _sanction(row)


def _sanction(row: tuple[Any, ...]) -> Sanction:
    text, made_at, outcome, answer, decided_at, decided_by, decided_by_name = row[13:]
    objection = None
    if text is not None:
        decided = None if outcome is None else Outcome(outcome)
        objection = Objection(text, made_at, decided, answer, decided_at, decided_by, decided_by_name)
    done: tuple[Any, ...] = (*row[2:13], objection)
    return Sanction(row[0], SanctionKind(row[1]), *done)
