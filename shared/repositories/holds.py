"""SQL about held messages: what moderators decide, and the rule that lets a message go without them.

messages.py holds messages when it stores them. A decision is only noted here; every API then lets messages go, one
after the other, and publishes them (api/telling.py). A message goes when a moderator lets it go, when its recipient has
written to its sender by themselves, or after a time without a decision. It is delivered as if it were sent then, with a
new id and time: so whoever reads on after the last id gets it. If it would be refused then, it stays with its sender.

A decision is about what a moderator has seen. What was held later goes to another hold, of which moderators are told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from shared.access.policy import Action
from shared.domain.holds import MAX_HELD_PICTURES, MAX_HELD_TEXTS, Hold, HoldDecision, HoldNotFound
from shared.domain.ids import MAX_ID
from shared.domain.messages import Message, ReadShown
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import require
from shared.repositories.audit import RECORD
from shared.repositories.bans import is_banned
from shared.repositories.blocked_pairs import is_blocked
from shared.repositories.message_columns import COLUMNS, WIDTH
from shared.repositories.message_insert_statements import NOTED, READS_SHOWN
from shared.repositories.turns import HURRY, TURN

HAS_MESSAGES = "EXISTS (SELECT FROM held_messages h WHERE h.hold_id = o.id)"
"""The condition that something of `holds o` waits: its sender may have deleted all."""
FIRST_TEXT = """(SELECT m.text FROM held_messages h JOIN messages m ON m.id = h.message_id
    WHERE h.hold_id = o.id ORDER BY h.message_id LIMIT 1)"""
"""The text of the first message of `holds o` that waits."""
PEOPLE = "(SELECT count(DISTINCT h.to_id) FROM held_messages h WHERE h.hold_id = o.id)"
"""To how many people the messages of `holds o` are."""
SEEN = f"""ARRAY(SELECT text FROM (
            SELECT m.text, max(m.id) AS id FROM held_messages h JOIN messages m ON m.id = h.message_id
            WHERE h.hold_id = o.id GROUP BY m.text
        ) AS texts ORDER BY id DESC LIMIT {MAX_HELD_TEXTS}),
        (SELECT max(h.message_id) FROM held_messages h WHERE h.hold_id = o.id),
        (SELECT coalesce(jsonb_agg(picture), '[]') FROM (
            SELECT picture FROM held_messages h JOIN messages m ON m.id = h.message_id,
                jsonb_array_elements(m.pictures) WITH ORDINALITY AS one (picture, n)
            WHERE h.hold_id = o.id ORDER BY h.message_id DESC, n LIMIT {MAX_HELD_PICTURES}
        ) AS shown)"""
"""What a moderator sees of the messages of `holds o`: the texts, the greatest id, and the pictures."""

_SELECT = f"""SELECT o.id, o.user_id, u.name, o.created_at, o.decided_at, o.decided_by, o.decision,
        (SELECT count(*) FROM held_messages h WHERE h.hold_id = o.id), {PEOPLE}, {SEEN}
    FROM holds o JOIN users u ON u.id = o.user_id"""
_OPEN = Statement(
    "hold_open",
    f"""{_SELECT} WHERE o.decided_at IS NULL AND o.id < $1 AND o.user_id <> $3 AND {HAS_MESSAGES}
        ORDER BY o.id DESC LIMIT $2""",
    ("bigint", "integer", "bigint"),
)
_BY_ID = Statement("hold_by_id", f"{_SELECT} WHERE o.id = $1 AND o.user_id <> $2", ("bigint", "bigint"))
# What was held of `decided` and is not {seen} gets another hold, in which it waits as before. The first hold is decided
# by then, so the trigger that lets its messages go no longer finds these.
_SET_APART = """later AS (
           SELECT h.message_id, d.user_id FROM held_messages h JOIN decided d ON d.id = h.hold_id WHERE NOT {seen}
       ), reopened AS (
           INSERT INTO holds (user_id) SELECT DISTINCT user_id FROM later RETURNING id
       ), set_apart AS (
           UPDATE held_messages h SET hold_id = reopened.id FROM later, reopened WHERE h.message_id = later.message_id
       )"""
# It takes a turn among the inserts, so no message is added to a hold that was decided. The texts of who sent more
# meanwhile still count, or more would pass before the next decision.
_DECIDE = Statement(
    "hold_decide",
    f"""WITH decided AS (
           UPDATE holds SET decided_at = now(), decided_by = $2, decision = $3
           WHERE id = $1 AND decided_at IS NULL RETURNING id, user_id
       ), {_SET_APART.format(seen="h.message_id <= $4")}, kept AS (
           DELETE FROM held_messages h USING decided d
           WHERE h.hold_id = d.id AND h.message_id <= $4 AND $3 = 'kept'
       ), forgotten AS (
           DELETE FROM recent_texts r USING decided d
           WHERE r.from_id = d.user_id AND $3 = 'let_go' AND NOT EXISTS (SELECT FROM later)
       ), recorded AS (
           {RECORD} SELECT $2, CASE $3 WHEN 'let_go' THEN 'hold_let_go' ELSE 'hold_keep' END, 'hold', id, NULL,
               jsonb_build_object('user_id', user_id) FROM decided
       )
       SELECT user_id FROM decided""",
    ("bigint", "bigint", "text", "bigint"),
    first=TURN,
)
# Triggers note `may_go` when a moderator decides, and when the recipient writes to the sender (schema.sql). Whoever has
# an unread warning publishes nothing, and so nothing of theirs goes before they have read it.
_MAY_PUBLISH = "NOT EXISTS (SELECT FROM users u WHERE u.id = h.from_id AND u.has_warning)"
_DUE = Statement(
    "hold_due",
    f"""SELECT message_id FROM (
           (SELECT message_id FROM held_messages h WHERE may_go AND {_MAY_PUBLISH} ORDER BY message_id LIMIT $2)
           UNION
           (SELECT message_id FROM held_messages h WHERE held_at < now() - $1 * interval '1 second' AND {_MAY_PUBLISH}
            ORDER BY held_at LIMIT $2)
       ) AS due ORDER BY message_id LIMIT $2""",
    ("double precision", "integer"),
)
# It locks the message first, as its deletion does (messages.py).
_LET_GO = Statement(
    "hold_let_go",
    f"""WITH locked AS MATERIALIZED (
           SELECT id FROM messages WHERE id = $1 FOR UPDATE
       ), picked AS (
           DELETE FROM held_messages h USING locked WHERE h.message_id = locked.id RETURNING h.message_id, h.hold_id
       ), ended AS (
           UPDATE holds o SET decided_at = now(), decision = 'let_go' FROM picked
           WHERE o.id = picked.hold_id AND o.decided_at IS NULL
             AND NOT EXISTS (SELECT FROM held_messages h WHERE h.hold_id = o.id AND h.message_id <> $1)
       ), welcome AS MATERIALIZED (
           SELECT m.id, m.from_id, m.to_id, NOT m.is_request AS opens,
                  m.is_request AND c.seems_accepted IS NOT TRUE AS is_request,
                  c.state IS NOT DISTINCT FROM 'declined' AS is_declined, c.has_written IS TRUE AS is_answered
           FROM picked JOIN messages m ON m.id = picked.message_id
           JOIN users f ON f.id = m.from_id AND f.deleted_at IS NULL AND NOT {is_banned("f")}
           JOIN users t ON t.id = m.to_id AND t.deleted_at IS NULL
           LEFT JOIN contacts c ON c.user_id = m.to_id AND c.other_id = m.from_id
           WHERE m.held_at IS NOT NULL AND m.deleted_at IS NULL AND NOT {is_blocked("m.from_id", "m.to_id")}
             AND (NOT m.is_request OR c.seems_accepted OR t.takes_requests)
       ), gone AS (
           UPDATE messages m SET id = DEFAULT, was_id = m.id, held_at = NULL, read_at = NULL,
               inserted_at = clock_timestamp(), is_request = w.is_request, is_declined = w.is_declined
           FROM welcome w WHERE m.id = w.id RETURNING {COLUMNS}
       ), written AS (
           SELECT from_id, to_id, opens, is_answered FROM welcome
       ), {NOTED}
       SELECT gone.*, (SELECT array_agg(ARRAY[by_id, other_id, up_to]) FROM ({READS_SHOWN}) AS read) FROM gone""",
    ("bigint",),
    first=TURN,
)
_UNTOLD = Statement(
    "hold_untold",
    """UPDATE holds SET told_at = now() WHERE id = ANY (ARRAY(
           SELECT id FROM holds WHERE told_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
       )) RETURNING id, user_id""",
    ("integer",),
)
NEWEST_AT = """greatest(o.created_at, (
                SELECT h.held_at FROM held_messages h WHERE h.hold_id = o.id AND h.held_at <= {as_of}
                ORDER BY h.message_id DESC LIMIT 1))"""
"""When the newest message of `holds o` was held, of those until {as_of}."""
CLOSE = f"""WITH decided AS (
        UPDATE holds o SET decided_at = now(), decided_by = $3, decision = 'kept'
        WHERE $1 = 0 AND o.user_id = $2 AND o.decided_at IS NULL AND o.created_at <= $4 RETURNING o.id, o.user_id
    ), {_SET_APART.format(seen="h.held_at <= $4")}, kept AS (
        DELETE FROM held_messages h USING decided d WHERE h.hold_id = d.id AND h.held_at <= $4
    ), recorded AS (
        {RECORD} SELECT $3, 'hold_keep', 'hold', id, NULL, jsonb_build_object('user_id', user_id) FROM decided
    )
    SELECT 'held_messages', id FROM decided"""
"""A moderator who closes all that waits about a person keeps the messages back that were held until then."""


class NewHold(NamedTuple):
    """A hold of which the moderators who look at the queue were not told."""

    id: int
    user_id: int


class HoldRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def open(self, *, before_id: int, limit: int, by: int) -> list[Hold]:
        """Returns the holds that wait for a decision, latest first, without that of the user `by`."""
        return [_hold(row) for row in await self._database.fetch(_OPEN, before_id, limit, by)]

    async def by_id(self, hold_id: int, *, by: int) -> Hold:
        """Returns the hold. Raises HoldNotFound, also if it is about the user `by`."""
        row = await self._database.fetch_one(_BY_ID, hold_id, by)
        if row is None:
            raise HoldNotFound
        return _hold(row)

    async def decide(self, hold_id: int, decision: HoldDecision, *, by: int, up_to: int = MAX_ID) -> bool:
        """Decide about the messages of a hold whose ids are at most `up_to`; the others wait on, in another hold.

        Returns False if that was done before. Raises NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.REPORT_RESOLVE)
            await transaction.execute(HURRY)
            row = await transaction.fetch_one(_DECIDE, hold_id, by, decision.value, up_to)
        return row is not None

    async def due(self, seconds: float, limit: int) -> list[int]:
        """Returns the ids of messages that may go now, the oldest first; those without a decision after `seconds`."""
        return [row[0] for row in await self._database.fetch(_DUE, seconds, limit)]

    async def let_go(self, message_id: int) -> Message | None:
        """Deliver a held message: it gets a new id. Returns None if it is not held any more, or would be refused."""
        row = await self._database.fetch_one(_LET_GO, message_id)
        if row is None:
            return None
        return replace(Message(*row[:WIDTH]), shows_read=[ReadShown(*read) for read in row[WIDTH] or ()])

    async def untold(self, limit: int) -> list[NewHold]:
        """Returns holds of which no moderator was told, and notes that they are."""
        return [NewHold(*row) for row in await self._database.fetch(_UNTOLD, limit)]


def _hold(row: tuple[Any, ...]) -> Hold:
    return replace(Hold(*row), decision=None if row[6] is None else HoldDecision(row[6]))
