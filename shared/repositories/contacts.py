"""SQL about who may write to whom: requests that people accept or decline, and what follows from them.

messages.py makes the rows of `contacts` when it stores a message, and asks them for each. All changes of rows run under
the lock of messages, so a message that is sent after a decision was answered is stored by that decision.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.messages import Decision, NoConversation, ReadShown
from shared.domain.users import NoLongerAllowed
from shared.postgres import Database, Statement, Transaction
from shared.repositories.bans import is_banned
from shared.repositories.blocked_pairs import is_blocked

READ_IN_SECRET = "'-infinity'"
"""The `read_at` of a message that was read while the two were apart: nobody is shown that it was read."""


def state(user: str, other: str) -> str:
    """Returns SQL for the state of `other` in the inbox of `user`; NULL if neither has written since there are any."""
    return f"(SELECT k.state FROM contacts k WHERE k.user_id = {user} AND k.other_id = {other})"


def is_in_inbox(user: str, other: str) -> str:
    """Returns the condition: what `other` writes to `user` is no request that waits or was declined."""
    return f"coalesce({state(user, other)} = 'accepted', true)"


def are_apart(one: str, other: str) -> str:
    """Returns the condition: neither may learn what the other does. One has blocked the other, or has not accepted.

    Most that are asked about are settled both ways, which one look-up finds.
    """
    return f"""(NOT EXISTS (
            SELECT FROM contacts c WHERE c.user_id = {other} AND c.other_id = {one}
            AND c.is_settled AND c.state = 'accepted'
        ) AND (NOT {is_in_inbox(one, other)} OR NOT {is_in_inbox(other, one)} OR {is_blocked(one, other)}))"""


def _has_written(one: str, other: str) -> str:
    return f"EXISTS (SELECT FROM messages m WHERE m.from_id = {one} AND m.to_id = {other} AND m.held_at IS NULL)"


# People who wrote to each other before there were requests have no row of `contacts`.
_ARE_IN_TOUCH = Statement(
    "contacts_are_in_touch",
    f"""SELECT NOT {are_apart("$1", "$2")} AND (EXISTS (SELECT FROM contacts c WHERE c.user_id = $2 AND c.other_id = $1)
            OR {_has_written("$1", "$2")} OR {_has_written("$2", "$1")})""",
    ("bigint", "bigint"),
)
_DECIDE = Statement(
    "contacts_decide",
    f"""WITH wrote AS MATERIALIZED (
            SELECT FROM messages WHERE from_id = $2 AND to_id = $1 AND from_id <> to_id AND held_at IS NULL LIMIT 1
        ), actor AS MATERIALIZED (
            SELECT FROM users u WHERE u.id = $1 AND u.deleted_at IS NULL AND NOT {is_banned("u")}
        ), decided AS (
            INSERT INTO contacts AS c (user_id, other_id, state, seems_accepted)
            SELECT $1, $2, $3, true FROM wrote, actor
            ON CONFLICT (user_id, other_id) DO UPDATE
            SET state = excluded.state, seems_accepted = c.seems_accepted OR excluded.state = 'accepted',
                is_settled = false, since = CASE WHEN c.state = excluded.state THEN c.since ELSE excluded.since END
        ), unsettled AS (
            UPDATE contacts SET is_settled = false WHERE user_id = $2 AND other_id = $1 AND is_settled
        )
        SELECT EXISTS (SELECT FROM wrote), EXISTS (SELECT FROM actor)""",
    ("bigint", "bigint", "text"),
    first="SELECT pg_advisory_xact_lock(7239870111)",
)
_SHOW_READ = Statement(
    "contacts_show_read",
    f"""WITH shown AS (
            UPDATE messages SET read_at = now()
            WHERE to_id = $1 AND from_id = $2 AND read_at = {READ_IN_SECRET} AND held_at IS NULL
              AND NOT {are_apart("$1", "$2")}
            RETURNING id
        )
        SELECT max(id) FROM shown""",
    ("bigint", "bigint"),
)


class ContactRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def decide(self, user_id: int, other_id: int, decision: Decision) -> Sequence[ReadShown]:
        """Accept or decline what the other one writes to the user, from now on. A second time changes nothing.

        Returns what `show_read` returns. Raises NoConversation if the other one has never written to the user, or
        NoLongerAllowed.
        """
        row = await self._database.fetch_one(_DECIDE, user_id, other_id, decision.value)
        assert row is not None
        if not row[1]:
            raise NoLongerAllowed
        if not row[0]:
            raise NoConversation
        return await self.show_read(user_id, other_id) if decision is Decision.ACCEPTED else ()

    async def show_read(self, one_id: int, other_id: int) -> Sequence[ReadShown]:
        """Show each of the two what the other one has read in secret, if they are not apart any more.

        Returns what is shown now; nothing of a user who has read nothing in secret.
        """
        shown = []
        for by, other in ((one_id, other_id), (other_id, one_id)):
            row = await self._database.fetch_one(_SHOW_READ, by, other)
            if row is not None and row[0] is not None:
                shown.append(ReadShown(by, other, row[0]))
        return shown

    async def are_in_touch(self, one_id: int, other_id: int) -> bool:
        """Whether each may learn what the other does: one has written to the other, and they are not apart."""
        row = await self._database.fetch_one(_ARE_IN_TOUCH, one_id, other_id)
        assert row is not None
        return bool(row[0])
