"""SQL about mails that wait to be sent.

A mail is added in the transaction of its cause, so there is a mail if and only if the cause has happened. A process
takes some mails for a while, sends them, and deletes their rows: no transaction is open meanwhile. If the process dies,
another one takes them when that while has passed. So a mail is sent at least once, and twice only if a process dies
after the server has taken it; both then have the same Message-ID.

A mail that is given up leaves its row, without address and text, for some days: operators see it, and why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.domain.mails import SWITCHES, TO_ANY_ADDRESS, Choice, MailKind, WaitingMail
from shared.postgres import Database, Statement, Transaction

# Few kinds are sent to an address that has to be confirmed first: it may be somebody else's.
_ADD = Statement(
    "outbox_add",
    """INSERT INTO outbox (user_id, kind, address, facts, useless_at)
       SELECT u.id, $2, coalesce($3, u.email), $4::jsonb, now() + make_interval(secs => $5)
       FROM users u LEFT JOIN mail_choices c ON c.user_id = u.id AND c.kind = $2
       WHERE u.id = $1 AND u.deleted_at IS NULL AND coalesce(c.choice, $6) = 'at_once'
         AND ($7 OR NOT u.must_confirm)""",
    ("bigint", "text", "text", "text", "double precision", "text", "boolean"),
)
_ADD_TO_SELLER = Statement(
    "outbox_add_to_seller",
    """INSERT INTO outbox (user_id, kind, address, facts)
       SELECT u.id, $2, u.email,
              $4::jsonb || jsonb_build_object('name', u.name, 'title', l.title, 'listing_id', l.id)
       FROM listings l JOIN users u ON u.id = l.seller_id AND u.deleted_at IS NULL
       LEFT JOIN mail_choices c ON c.user_id = u.id AND c.kind = $2
       WHERE l.id = $1 AND u.id <> $3 AND coalesce(c.choice, $5) = 'at_once'""",
    ("bigint", "text", "bigint", "text", "text"),
)
# A mail whose kind only a later release knows is left to it: both run while one replaces the other.
_TAKE = Statement(
    "outbox_take",
    """UPDATE outbox AS o SET attempts = o.attempts + 1, due_at = clock_timestamp() + make_interval(secs => $2)
       FROM (SELECT id FROM outbox WHERE due_at <= clock_timestamp() AND given_up_at IS NULL AND kind = ANY ($4)
             ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
       WHERE o.id = due.id
       RETURNING o.id, o.user_id, o.kind, o.address, o.facts::text, o.message_id::text, o.written_at, o.attempts,
                 o.written_at < clock_timestamp() - make_interval(secs => $3),
                 o.useless_at < clock_timestamp()""",
    ("integer", "double precision", "double precision", "text[]"),
)
# `attempts` says whether the process still has the mail: another one may have taken it meanwhile.
_SENT = Statement("outbox_sent", "DELETE FROM outbox WHERE id = $1 AND attempts = $2", ("bigint", "integer"))
_POSTPONE = Statement(
    "outbox_postpone",
    """UPDATE outbox SET due_at = clock_timestamp() + make_interval(secs => $3), failure = $4
       WHERE id = $1 AND attempts = $2""",
    ("bigint", "integer", "double precision", "text"),
)
_GIVE_UP = Statement(
    "outbox_give_up",
    """UPDATE outbox SET given_up_at = now(), failure = $3, address = NULL, facts = NULL
       WHERE id = $1 AND attempts = $2""",
    ("bigint", "integer", "text"),
)
NOT_NOW = "not now"
"""The failure of a mail whose reader is online, or about whom nobody knows."""
# Such a mail does not wait for the mail server, and neither does one whose recipient alone is refused for now.
_WAITING = Statement(
    "outbox_waiting",
    f"""SELECT count(*), coalesce(extract(epoch FROM clock_timestamp()
               - min(written_at) FILTER (WHERE coalesce(failure, '') <> '{NOT_NOW}'
                                           AND coalesce(failure, '') NOT LIKE 'recipient %'))::float8, 0)
       FROM outbox WHERE given_up_at IS NULL""",
)
_GIVEN_UP = Statement("outbox_given_up", "SELECT count(*) FROM outbox WHERE given_up_at IS NOT NULL")
_FORGET = Statement("outbox_forget", "DELETE FROM outbox WHERE user_id = $1", ("bigint",))
_REMOVE_OLD = Statement(
    "outbox_remove_old",
    """DELETE FROM outbox WHERE id = ANY (ARRAY(
           SELECT id FROM outbox WHERE given_up_at < now() - make_interval(days => $1) LIMIT $2))""",
    ("integer", "integer"),
)
MAX_REMOVED = 5_000
"""Rows that one step removes."""


def adding(kind: MailKind, facts: str, source: str, *, user_id: str, is_on: str) -> str:
    """Returns SQL that adds a mail of this kind for each row of `source`, as a part of the statement of its cause.

    The arguments are SQL: `facts` is a jsonb; `is_on` says whether this deployment sends mail.
    """
    usual = SWITCHES[kind].usual if kind in SWITCHES else Choice.AT_ONCE
    return f"""INSERT INTO outbox (user_id, kind, address, facts)
        SELECT addressee.id, '{kind.value}', addressee.email, {facts}
        FROM {source} JOIN users addressee ON addressee.id = {user_id} AND addressee.deleted_at IS NULL
        LEFT JOIN mail_choices choice ON choice.user_id = addressee.id AND choice.kind = '{kind.value}'
        WHERE {is_on} AND coalesce(choice.choice, '{usual.value}') = '{Choice.AT_ONCE.value}'"""


class TakenMail(NamedTuple):
    """A mail, and whether it is too late for it, because its link has expired."""

    mail: WaitingMail
    is_useless: bool


class Counts(NamedTuple):
    """How many mails wait, for how many seconds the oldest has waited, and how many were given up lately."""

    waiting: int
    oldest_seconds: float
    given_up: int


class Outbox:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction, *, is_on: bool) -> None:
        """`is_on` says whether this deployment sends mail. Otherwise nothing is added."""
        self._database = database
        self.is_on = is_on

    def within(self, transaction: Transaction) -> Outbox:
        """Returns the outbox in this transaction."""
        return Outbox(transaction, is_on=self.is_on)

    async def add(
        self,
        kind: MailKind,
        user_id: int,
        facts: Mapping[str, Any] | None = None,
        *,
        address: str | None = None,
        useful_seconds: float | None = None,
    ) -> None:
        """Add a mail to a user, unless they do not want mails of this kind, or have left.

        `address` is another one than the user's. After `useful_seconds` the mail is not sent any more.
        """
        if not self.is_on:
            return
        usual = SWITCHES[kind].usual if kind in SWITCHES else Choice.AT_ONCE
        written = json.dumps(facts or {}, ensure_ascii=False)
        await self._database.execute(
            _ADD, user_id, kind.value, address, written, useful_seconds, usual.value, kind in TO_ANY_ADDRESS
        )

    async def add_to_seller(self, kind: MailKind, listing_id: int, facts: Mapping[str, Any], *, by: int) -> None:
        """Add a mail to a listing's seller, who is not `by`. The facts get `name`, `title` and `listing_id`."""
        if self.is_on:
            written, usual = json.dumps(facts, ensure_ascii=False), SWITCHES[kind].usual.value
            await self._database.execute(_ADD_TO_SELLER, listing_id, kind.value, by, written, usual)

    async def take(self, most: int, *, seconds: float, give_up_seconds: float) -> list[TakenMail]:
        """Take the mails that are due first. No other process takes them during the next `seconds`."""
        rows = await self._database.fetch(_TAKE, most, seconds, give_up_seconds, list(MailKind))
        return [_taken(row) for row in rows]

    async def sent(self, mail: WaitingMail) -> None:
        """Delete the mail: the server has taken it."""
        await self._database.execute(_SENT, mail.id, mail.attempt)

    async def postpone(self, mail: WaitingMail, seconds: float, failure: str) -> None:
        """Try to send the mail again after `seconds`."""
        await self._database.execute(_POSTPONE, mail.id, mail.attempt, seconds, failure)

    async def give_up(self, mail: WaitingMail, failure: str) -> None:
        """Do not send the mail any more. Its address and its text are deleted."""
        await self._database.execute(_GIVE_UP, mail.id, mail.attempt, failure)

    async def counts(self) -> Counts:
        """Returns how many mails there are."""
        [[waiting, oldest]] = await self._database.fetch(_WAITING)
        [[given_up]] = await self._database.fetch(_GIVEN_UP)
        return Counts(waiting, oldest, given_up)


async def forget_mails(transaction: Transaction, user_id: int) -> None:
    """Delete all mails to a user who leaves."""
    await transaction.execute(_FORGET, user_id)


async def remove_old_mails(transaction: Transaction, *, days: int) -> bool:
    """Remove some mails that were given up more than `days` ago. Returns whether these were all."""
    return await transaction.execute(_REMOVE_OLD, days, MAX_REMOVED) < MAX_REMOVED


def _taken(row: tuple[Any, ...]) -> TakenMail:
    facts = json.loads(row[4])
    mail = WaitingMail(row[0], row[1], MailKind(row[2]), row[3], facts, row[5], row[6], row[7], bool(row[8]))
    return TakenMail(mail, bool(row[9]))
