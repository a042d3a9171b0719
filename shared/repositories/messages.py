"""SQL that reads stored private messages, marks them as read, and deletes them.

A trigger in schema.sql makes ids visible in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shared.access.policy import Action
from shared.domain.mails import MailKind
from shared.domain.messages import (
    Deletion,
    Message,
    MessageNotFound,
)
from shared.domain.users import NoLongerAllowed
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import acting
from shared.repositories.contacts import READ_IN_SECRET, are_apart
from shared.repositories.message_columns import COLUMNS, WIDTH
from shared.repositories.message_pictures import is_reported

_MAY_WRITE = Statement(
    "messages_may_write",
    """SELECT NOT u.must_confirm OR EXISTS (
           SELECT FROM messages m WHERE m.from_id = $2 AND m.to_id = u.id AND m.held_at IS NULL)
       FROM users u WHERE u.id = $1""",
    ("bigint", "bigint"),
)
_HAS_WARNING = Statement("messages_has_warning", "SELECT has_warning FROM users WHERE id = $1", ("bigint",))
# What the recipient's devices are told of, by each way alike.
_IS_TOLD = "m.held_at IS NULL AND NOT m.is_declined"
# Sent and received messages are read by their own index, each up to the limit. A message to oneself is in both indexes,
# and is returned once.
_AFTER = Statement(
    "messages_after",
    f"""(SELECT {COLUMNS} FROM messages m WHERE m.to_id = $1 AND m.id > $2 AND (m.from_id = $1 OR {_IS_TOLD})
         ORDER BY m.id LIMIT $3)
        UNION ALL
        (SELECT {COLUMNS} FROM messages m WHERE m.from_id = $1 AND m.to_id <> $1 AND m.id > $2 ORDER BY m.id LIMIT $3)
        ORDER BY id LIMIT $3""",
    ("bigint", "bigint", "integer"),
)
_SINCE_LAST_SEEN = """(SELECT inserted_at FROM messages WHERE id <= asked.after_id ORDER BY id DESC LIMIT 1)
                - $5 * interval '1 second'"""
MOST_DELETIONS = 1_000
"""Of one user, at most so many of the latest deletions are looked at for a client that catches up."""
_EARLIER = 0
"""Stands in the place of a deleted message's id if there were as many deletions, so that there may be earlier ones."""
# Like the above, and also messages that are a little older than the last one that the reader has, and the ids of
# messages that the reader may still have although they were deleted since.
_CATCH_UPS = Statement(
    "messages_catch_ups",
    f"""WITH asked AS MATERIALIZED (SELECT * FROM unnest($1, $2) AS asked (user_id, after_id))
        SELECT asked.user_id, asked.after_id, found.*, NULL::bigint AS deleted_id
        FROM asked CROSS JOIN LATERAL (
            WITH recent AS (
                (SELECT {COLUMNS} FROM messages m
                 WHERE m.to_id = asked.user_id AND m.id <= asked.after_id AND (m.from_id = m.to_id OR {_IS_TOLD})
                 ORDER BY m.id DESC LIMIT $4)
                UNION ALL
                (SELECT {COLUMNS} FROM messages m
                 WHERE m.from_id = asked.user_id AND m.to_id <> asked.user_id AND m.id <= asked.after_id
                 ORDER BY m.id DESC LIMIT $4)
                ORDER BY id DESC LIMIT $4
            )
            SELECT * FROM recent WHERE inserted_at > {_SINCE_LAST_SEEN}
            UNION ALL
            ((SELECT {COLUMNS} FROM messages m
              WHERE m.to_id = asked.user_id AND m.id > asked.after_id AND (m.from_id = m.to_id OR {_IS_TOLD})
              ORDER BY m.id LIMIT $3)
             UNION ALL
             (SELECT {COLUMNS} FROM messages m
              WHERE m.from_id = asked.user_id AND m.to_id <> asked.user_id AND m.id > asked.after_id
              ORDER BY m.id LIMIT $3)
             ORDER BY id LIMIT $3)
        ) AS found
        UNION ALL
        SELECT asked.user_id, asked.after_id, {", ".join(["NULL"] * WIDTH)}, gone.message_id
        FROM asked CROSS JOIN LATERAL (
            WITH latest AS MATERIALIZED (
                (SELECT d.message_id, d.deleted_at FROM deleted_messages d
                 WHERE d.to_id = asked.user_id AND d.deleted_at > {_SINCE_LAST_SEEN}
                 ORDER BY d.deleted_at DESC LIMIT {MOST_DELETIONS})
                UNION ALL
                (SELECT d.message_id, d.deleted_at FROM deleted_messages d
                 WHERE d.from_id = asked.user_id AND d.to_id IS DISTINCT FROM asked.user_id
                 AND d.deleted_at > {_SINCE_LAST_SEEN}
                 ORDER BY d.deleted_at DESC LIMIT {MOST_DELETIONS})
                ORDER BY deleted_at DESC LIMIT {MOST_DELETIONS}
            )
            (SELECT message_id FROM latest WHERE message_id <= asked.after_id ORDER BY deleted_at DESC LIMIT $3)
            UNION ALL
            SELECT {_EARLIER} WHERE (SELECT count(*) FROM latest) = {MOST_DELETIONS}
        ) AS gone
        ORDER BY 3""",
    ("bigint[]", "bigint[]", "integer", "integer", "double precision"),
)
_CONVERSATION = Statement(
    "messages_conversation",
    f"""(SELECT {COLUMNS} FROM messages m WHERE m.to_id = $1 AND m.from_id = $2 AND m.id < $3 AND m.held_at IS NULL
         ORDER BY m.id DESC LIMIT $4)
        UNION ALL
        (SELECT {COLUMNS} FROM messages m WHERE m.from_id = $1 AND m.to_id = $2 AND $1 <> $2 AND m.id < $3
         ORDER BY m.id DESC LIMIT $4)
        ORDER BY id DESC LIMIT $4""",
    ("bigint", "bigint", "bigint", "integer"),
)
# Ids follow time, give or take one statement, so a search from the end soon finds a message that is old enough.
_LAST_ID_BEFORE = Statement(
    "messages_last_id_before",
    "SELECT id FROM messages WHERE inserted_at < now() - $1 * interval '1 second' ORDER BY id DESC LIMIT 1",
    ("double precision",),
)
_OF_USERS_AFTER = Statement(
    "messages_of_users_after",
    f"""SELECT {COLUMNS} FROM messages m
        WHERE m.id > $2 AND (m.to_id = ANY ($1) OR m.from_id = ANY ($1)) ORDER BY m.id LIMIT $3""",
    ("bigint[]", "bigint", "integer"),
)
_MARK_READ = Statement(
    "messages_mark_read",
    f"""WITH pair AS MATERIALIZED (SELECT {are_apart("$1", "$2")} AS are_apart), read AS (
           UPDATE messages SET read_at = CASE WHEN pair.are_apart THEN {READ_IN_SECRET} ELSE now() END FROM pair
           WHERE to_id = $1 AND from_id = $2 AND id <= $3 AND read_at IS NULL
       )
       SELECT greatest((SELECT max(id) FROM messages WHERE from_id = $1 AND to_id = $2 AND held_at IS NULL),
                       (SELECT max(id) FROM messages WHERE from_id = $2 AND to_id = $1 AND held_at IS NULL)),
              pair.are_apart
       FROM pair""",
    ("bigint", "bigint", "bigint"),
)
_OF_USER = Statement(
    "messages_of_user",
    """SELECT from_id FROM messages
       WHERE id = $1 AND (from_id = $2 OR (to_id = $2 AND held_at IS NULL))""",
    ("bigint", "bigint"),
)
# A deleted message counts as read, so that nobody is told of it any more, by push, by mail or by a number. Its text is
# also in the answer that was kept for a repeat of its request, and in a mail that waits.
_DELETE = Statement(
    "messages_delete",
    f"""WITH actor AS MATERIALIZED ({acting("$2", Action.MESSAGE_DELETE)}), gone AS (
           UPDATE messages m
           SET text = '', pictures = NULL, deleted_at = actor.at,
               read_at = coalesce(nullif(m.read_at, {READ_IN_SECRET}), actor.at)
           FROM (SELECT id, clock_timestamp() AS at FROM actor) AS actor
           WHERE m.id = $1 AND m.from_id = actor.id AND m.deleted_at IS NULL
           RETURNING m.id, m.was_id, m.from_id, m.to_id, m.deleted_at, m.held_at IS NOT NULL AS is_held
       ), noted AS (
           INSERT INTO deleted_messages (message_id, from_id, to_id, deleted_at)
           SELECT id, from_id, CASE WHEN NOT is_held THEN to_id END, deleted_at FROM gone
           RETURNING message_id, from_id, to_id, deleted_at, number
       ), forgotten AS (
           DELETE FROM repeatable_requests r USING gone
           WHERE r.user_id = gone.from_id AND (starts_with(r.answer, '{{"id":' || gone.id || ',"from":')
                                           OR starts_with(r.answer, '{{"id":' || gone.was_id || ',"from":'))
       ), not_let_go AS (
           DELETE FROM held_messages h USING gone WHERE h.message_id = gone.id
       ), without_pictures AS (
           DELETE FROM message_pictures p USING gone
           WHERE p.message_id = gone.id AND NOT {is_reported("gone.id")}
       ), kept_pictures AS (
           UPDATE message_pictures p SET is_of_deleted = true FROM gone
           WHERE p.message_id = gone.id AND {is_reported("gone.id")}
       ), mailed AS (
           UPDATE outbox o SET facts = o.facts || '{{"text": null}}' FROM gone
           WHERE o.user_id = gone.to_id AND o.kind = '{MailKind.MESSAGE.value}' AND o.given_up_at IS NULL
             AND o.facts ->> 'other_id' = gone.from_id::text AND o.facts ->> 'text' IS NOT NULL
       )
       SELECT noted.* FROM actor LEFT JOIN noted ON true""",
    ("bigint", "bigint"),
)
_LAST_DELETION_BEFORE = Statement(
    "messages_last_deletion_before",
    """SELECT number FROM deleted_messages WHERE deleted_at < now() - $1 * interval '1 second'
       ORDER BY number DESC LIMIT 1""",
    ("double precision",),
)
_DELETIONS_AFTER = Statement(
    "messages_deletions_after",
    """SELECT message_id, from_id, to_id, deleted_at, number FROM deleted_messages
       WHERE number > $2 AND (to_id = ANY ($1) OR from_id = ANY ($1)) ORDER BY number LIMIT $3""",
    ("bigint[]", "bigint", "integer"),
)


class CaughtUp(NamedTuple):
    """Messages, oldest first, and whether these are all that the client may lack."""

    messages: list[Message]
    is_complete: bool
    deleted: Sequence[int] = ()
    """Ids of messages that the client may have and that were deleted since, in no particular order."""
    has_more_deleted: bool = False
    """Whether there are more of these, deleted earlier, or may be."""


class MessageRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def after(self, user_id: int, after_id: int, limit: int) -> list[Message]:
        """Returns the user's messages, sent and received, with ids greater than `after_id`, oldest first.

        A reader can continue after the last id returned: no message with a smaller id can appear later.
        """
        return [Message(*row) for row in await self._database.fetch(_AFTER, user_id, after_id, limit)]

    async def catch_ups(
        self, asked: Sequence[tuple[int, int]], *, limit: int, overlap_seconds: float
    ) -> dict[tuple[int, int], CaughtUp]:
        """Returns by (user id, `after_id`) the messages that a client of the user may lack; at most `limit` for each.

        Ids are committed in order, but each node delivers by itself: a client may get a message before another one with
        a smaller id that is still on its way. So messages up to `overlap_seconds` older than the last one seen are
        repeated, in at most half of the limit; a client drops the ids that it has. Every incomplete answer has new
        messages, so a client that continues from its last id finishes.
        """
        users, ids = [pair[0] for pair in asked], [pair[1] for pair in asked]
        found: dict[tuple[int, int], list[Message]] = {pair: [] for pair in asked}
        deleted: dict[tuple[int, int], list[int]] = {}
        have_earlier: set[tuple[int, int]] = set()
        rows = await self._database.fetch(_CATCH_UPS, users, ids, limit + 1, limit // 2, overlap_seconds)
        for user_id, after_id, *row, deleted_id in rows:
            if deleted_id is None:
                found[user_id, after_id].append(Message(*row))
            elif deleted_id == _EARLIER:
                have_earlier.add((user_id, after_id))
            else:
                deleted.setdefault((user_id, after_id), []).append(deleted_id)
        return {
            pair: CaughtUp(
                messages[:limit],
                len(messages) <= limit,
                (gone := deleted.get(pair, []))[:limit],
                len(gone) > limit or pair in have_earlier,
            )
            for pair, messages in found.items()
        }

    async def last_id_before(self, seconds: float) -> int:
        """Returns the greatest id of a message that is older than `seconds`; 0 if there is none."""
        row = await self._database.fetch_one(_LAST_ID_BEFORE, seconds)
        return row[0] if row else 0

    async def of_users_after(self, user_ids: Sequence[int], after_id: int, limit: int) -> list[Message]:
        """Returns messages that any of the users sent or got with ids greater than `after_id`, oldest first."""
        rows = await self._database.fetch(_OF_USERS_AFTER, list(user_ids), after_id, limit)
        return [Message(*row) for row in rows]

    async def sender_of(self, message_id: int, *, for_user: int) -> int:
        """Returns who sent the message. Raises MessageNotFound, also if this user is on neither side of it."""
        row = await self._database.fetch_one(_OF_USER, message_id, for_user)
        if row is None:
            raise MessageNotFound
        return int(row[0])

    async def delete(self, message_id: int, *, by: int) -> Deletion | None:
        """Delete a message of this sender for both sides: it keeps its id, and its text is gone.

        Returns None if that was done before. Raises NoLongerAllowed, or MessageNotFound: also if the message was held
        and is delivered meanwhile, with another id.
        """
        row = await self._database.fetch_one(_DELETE, message_id, by)
        if row is None:
            raise NoLongerAllowed
        if row[0] is None:
            await self.sender_of(message_id, for_user=by)
            return None
        return Deletion(*row)

    async def last_deletion_before(self, seconds: float) -> int:
        """Returns the greatest number of a deletion that is older than `seconds`; 0 if there is none."""
        row = await self._database.fetch_one(_LAST_DELETION_BEFORE, seconds)
        return row[0] if row else 0

    async def deletions_after(self, user_ids: Sequence[int], number: int, limit: int) -> list[Deletion]:
        """Returns the deletions with greater numbers of messages that any of the users had, oldest first."""
        return [Deletion(*row) for row in await self._database.fetch(_DELETIONS_AFTER, list(user_ids), number, limit)]

    async def conversation(self, user_id: int, other_id: int, *, before_id: int, limit: int) -> list[Message]:
        """Returns the messages between two users with ids smaller than `before_id`, newest first."""
        rows = await self._database.fetch(_CONVERSATION, user_id, other_id, before_id, limit)
        return [Message(*row) for row in rows]

    async def has_warning(self, user_id: int) -> bool:
        """Returns whether the user has a warning to read."""
        row = await self._database.fetch_one(_HAS_WARNING, user_id)
        return row is not None and bool(row[0])

    async def may_write(self, from_id: int, to_id: int) -> bool:
        """Whether the user may write to this one: the address needs no confirmation, or it is an answer."""
        row = await self._database.fetch_one(_MAY_WRITE, from_id, to_id)
        # Who does not exist is refused when the message is stored.
        return row is None or bool(row[0])

    async def mark_read(self, user_id: int, other_id: int, up_to: int) -> tuple[int, bool] | None:
        """Mark the messages from the other user to this one as read, up to and including the id `up_to`.

        Returns the id up to which they are read, at most that of the conversation's last message, and whether the other
        user may know. Returns None if the two have never written to each other, so that nobody has to be told.
        """
        row = await self._database.fetch_one(_MARK_READ, user_id, other_id, up_to)
        return None if row is None or row[0] is None else (min(up_to, row[0]), not row[1])
