"""SQL about private messages. A trigger in schema.sql makes ids visible in the order of their numbers.

Inserts of messages take turns, by a lock. A transaction that ends the right to send (a block, a ban, a warning, an
account that is deleted) takes a turn as well when it commits; triggers in schema.sql see to that. So messages that
began before it are committed before it is answered, and messages that begin after it see what it has done: no message
is stored after the answer. A message that was stored before may still be on its way to the recipient's devices.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, NamedTuple

from shared.access.policy import Action
from shared.domain.likeness import Looks, looks_of, packed
from shared.domain.mails import MailKind
from shared.domain.messages import (
    Blocked,
    Blocking,
    Deletion,
    InvalidMessage,
    Message,
    MessageNotFound,
    MessageRefused,
    NewMessage,
    NoRequests,
    ReadShown,
    SenderGone,
    UnknownRecipient,
    UnreadWarning,
)
from shared.domain.users import NoLongerAllowed
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import acting
from shared.repositories.bans import is_banned
from shared.repositories.contacts import READ_IN_SECRET, are_apart
from shared.repositories.message_pictures import attach, is_reported, take
from shared.repositories.recent_texts import HoldLimits, Judged, judge
from shared.repositories.turns import TURN
from shared.repositories.visibility import roles_that_see_hidden, visible_to

COLUMNS = f"""m.id, m.from_id, m.to_id, m.text, m.listing_id, m.inserted_at, nullif(m.read_at, {READ_IN_SECRET}),
    m.is_request, m.held_at IS NOT NULL, m.was_id, m.deleted_at, m.is_declined, m.pictures"""
"""The columns of a Message, from `messages m`."""
WIDTH = 13
"""The number of these columns."""
NOT_TO_READ = READ_IN_SECRET
"""The `read_at` of a held message: it counts as read, so it is unread nowhere, and its sender sees it as not read."""

# Every sender is registered, and so may see private listings. The role decides whether they may see hidden ones.
_SEES_HIDDEN = f"EXISTS (SELECT FROM users f WHERE f.id = from_id AND f.role IN ({roles_that_see_hidden()}))"
_LISTING_IS_SEEN = f"""EXISTS (
    SELECT FROM listings l JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
    WHERE l.id = listing_id AND {visible_to("from_id", "true", _SEES_HIDDEN)})"""
# What is asked about a message is looked up by an index, once for each message. An EXISTS would not do: Postgres may
# read a whole table into a hash for it, because it expects more messages in a batch than there are.
#
# Whether they wrote to each other before there were contacts: the recipient did, or the sender without a request.
_WROTE_BEFORE = """(
    coalesce((SELECT true FROM messages m
              WHERE m.from_id = t.to_id AND m.to_id = t.from_id AND m.held_at IS NULL LIMIT 1), false)
    OR coalesce((SELECT NOT m.is_request FROM messages m
                 WHERE m.from_id = t.from_id AND m.to_id = t.to_id AND m.held_at IS NULL
                 ORDER BY m.id LIMIT 1), false))"""
_SENDER = f"FROM users u WHERE u.id = from_id AND u.deleted_at IS NULL AND NOT {is_banned('u')}"
# Only a sender who is refused is looked up twice.
_ALWAYS_REFUSED = f"""WHEN (SELECT NOT u.has_warning {_SENDER}) IS NOT TRUE
            THEN coalesce((SELECT 'unread warning' {_SENDER}), 'sender gone')
            WHEN listing_id IS NOT NULL AND NOT {_LISTING_IS_SEEN}
            THEN 'listing not found'"""
# `$6` is whether texts are compared. What settles a pair then also says that the recipient has written to the sender.
_KNOWN = """LEFT JOIN LATERAL (
    SELECT state, seems_accepted, is_settled, has_written FROM contacts
    WHERE user_id = t.to_id AND other_id = t.from_id LIMIT 1
) AS c ON true"""
_IS_SETTLED = """(c.is_settled IS TRUE AND (listing_id IS NULL OR c.state = 'accepted') AND (c.has_written OR NOT $6)
    OR t.from_id = t.to_id)"""
# `is_settled`: what the row of contacts says is enough, and the message changes nothing there. `opens`: the message
# makes its sender accepted: it names a listing of the recipient, or the two wrote to each other before. `is_answered`:
# the recipient has written to the sender, so the text is not compared.
_GIVEN = f"""SELECT t.n, t.from_id, t.to_id, text, listing_id, client_ref,
       {_IS_SETTLED} AS is_settled,
       c.seems_accepted IS TRUE OR t.from_id = t.to_id AS is_known,
       c.state IS NOT DISTINCT FROM 'declined' AS is_declined,
       NOT $6 OR c.has_written IS TRUE OR t.from_id = t.to_id OR coalesce(
           (SELECT true FROM messages m
            WHERE m.from_id = t.to_id AND m.to_id = t.from_id AND m.held_at IS NULL LIMIT 1), false) AS is_answered,
       sketch, is_short, earlier, is_held, compared_to,
       CASE WHEN {_IS_SETTLED} THEN false
            WHEN (SELECT l.seller_id = t.to_id FROM listings l WHERE l.id = listing_id) THEN true
            WHEN c.state IS NULL THEN {_WROTE_BEFORE}
            ELSE false
       END AS opens,
       CASE WHEN {_IS_SETTLED} THEN true
            ELSE coalesce((SELECT u.takes_requests FROM users u WHERE u.id = t.to_id), true)
       END AS takes_requests,
       CASE WHEN (SELECT true FROM users u WHERE u.id = t.to_id AND u.deleted_at IS NULL) IS NULL
            THEN 'user not found'
            WHEN NOT {_IS_SETTLED}
                 AND (SELECT true FROM blocks b WHERE b.blocker_id = t.from_id AND b.blocked_id = t.to_id)
            THEN 'blocking'
            WHEN NOT {_IS_SETTLED}
                 AND (SELECT true FROM blocks b WHERE b.blocker_id = t.to_id AND b.blocked_id = t.from_id)
            THEN 'blocked'
            {_ALWAYS_REFUSED}
       END AS refusal
FROM unnest($1, $2, $3, $4, $5, $7, $8, $9, $10, $11) WITH ORDINALITY
    AS t (from_id, to_id, text, listing_id, client_ref, sketch, is_short, earlier, is_held, compared_to, n)
{_KNOWN}"""
# The messages of one batch are stored one after the other. So an earlier one may have made the sender of `g` accepted:
# one that opens, or an answer `e` that was stored itself, because it is no request, or its recipient takes requests, or
# it answers an earlier message `f`, which its own recipient took. Few batches have such messages; a hash tells which.
_ACCEPTED_BEFORE = """(
    ((g.from_id, g.to_id) IN (SELECT from_id, to_id FROM given WHERE opens) AND EXISTS (
        SELECT FROM given e WHERE e.n < g.n AND e.refusal IS NULL AND e.opens
        AND e.from_id = g.from_id AND e.to_id = g.to_id))
    OR ((g.to_id, g.from_id) IN (SELECT from_id, to_id FROM given) AND EXISTS (
        SELECT FROM given e WHERE e.n < g.n AND e.refusal IS NULL AND e.from_id = g.to_id AND e.to_id = g.from_id
        AND (e.opens OR e.is_known OR e.takes_requests OR g.takes_requests AND EXISTS (
            SELECT FROM given f WHERE f.n < e.n AND f.refusal IS NULL
            AND f.from_id = g.from_id AND f.to_id = g.to_id)))))"""
_ANSWERED_BEFORE = """EXISTS (SELECT FROM given e
    WHERE e.n < g.n AND e.refusal IS NULL AND e.from_id = g.to_id AND e.to_id = g.from_id)"""
# To how many others the sender wrote of late, counted up to $13. It jumps in the index from one person to the next, so
# it costs the same for whoever writes much to one.
_PEOPLE = """(WITH RECURSIVE people (to_id, n) AS (
        (SELECT r.to_id, 1 FROM recent_texts r
         WHERE r.from_id = g.from_id AND r.to_id <> g.to_id AND r.sent_at > now() - $14 * interval '1 second'
         ORDER BY r.to_id LIMIT 1)
        UNION ALL
        SELECT next.to_id, people.n + 1 FROM people CROSS JOIN LATERAL (
            SELECT r.to_id FROM recent_texts r
            WHERE r.from_id = g.from_id AND r.to_id > people.to_id AND r.to_id <> g.to_id
              AND r.sent_at > now() - $14 * interval '1 second'
            ORDER BY r.to_id LIMIT 1
        ) AS next WHERE people.n < $13
    ) SELECT count(*) FROM people)"""
# Whether the sender wrote to so many of late that the texts have to be compared first; or, if they were, whether the
# sender has sent more since. `earlier` is the number of others to whom the sender has messages before in the batch.
_MUST_COMPARE = f"""(NOT is_answered AND refusal IS NULL AND CASE
    WHEN compared_to IS NOT NULL
    THEN compared_to < (SELECT max(r.id) FROM recent_texts r WHERE r.from_id = g.from_id)
    ELSE {_PEOPLE} + earlier >= CASE WHEN is_short OR opens AND listing_id IS NOT NULL THEN $13 ELSE $12 END
    END)"""
_TYPES = ("bigint[]", "bigint[]", "text[]", "bigint[]", "text[]", "boolean")
_STORED = "INSERT INTO messages (from_id, to_id, text, listing_id, client_ref, is_request, is_declined"
_ONCE = "ON CONFLICT (from_id, client_ref) WHERE client_ref IS NOT NULL DO NOTHING"
# Stores a batch of which all messages are settled, as those of people who know each other are; nothing of any other.
_INSERT_SETTLED = Statement(
    "messages_insert_settled",
    f"""WITH given AS MATERIALIZED (
           SELECT n, from_id, to_id, text, listing_id, client_ref,
                  c.seems_accepted IS FALSE AS is_request, c.state IS NOT DISTINCT FROM 'declined' AS is_declined,
                  CASE WHEN NOT {_IS_SETTLED} THEN 'not settled'
                       WHEN (SELECT true FROM users u WHERE u.id = to_id AND u.deleted_at IS NULL) IS NULL
                       THEN 'user not found'
                       {_ALWAYS_REFUSED}
                  END AS refusal
           FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY AS t (from_id, to_id, text, listing_id, client_ref, n)
           {_KNOWN}
       ), inserted AS (
           {_STORED})
           SELECT from_id, to_id, text, listing_id, client_ref, is_request, is_declined FROM given
           WHERE refusal IS NULL AND NOT EXISTS (SELECT FROM given WHERE refusal = 'not settled') ORDER BY n
           {_ONCE}
           RETURNING id, from_id, client_ref, inserted_at, is_request, is_declined
       )
       SELECT id, from_id, client_ref, inserted_at, is_request, is_declined, false, NULL FROM inserted
       UNION ALL SELECT n, NULL, NULL, NULL, NULL, NULL, NULL, refusal FROM given WHERE refusal IS NOT NULL
       ORDER BY 1""",
    _TYPES,
    first=TURN,
)
NOTED = f"""sides AS (
           SELECT user_id, other_id, bool_or(wrote) AS wrote, bool_or(opened) AS opened,
                  bool_or(has_written) AS has_written FROM (
               SELECT from_id AS user_id, to_id AS other_id, true AS wrote, false AS opened, true AS has_written
               FROM written
               UNION ALL SELECT to_id, from_id, false, opens, is_answered FROM written
           ) AS one GROUP BY user_id, other_id
       ), states AS (
           SELECT s.user_id, s.other_id, c.state AS before,
                  CASE WHEN s.wrote THEN 'accepted'
                       WHEN c.state = 'declined' THEN 'declined'
                       WHEN s.opened THEN 'accepted'
                       ELSE coalesce(c.state, 'open')
                  END AS state,
                  s.wrote OR s.opened OR coalesce(c.seems_accepted, false) AS seems_accepted,
                  s.has_written OR coalesce(c.has_written, false) AS has_written
           FROM sides s LEFT JOIN LATERAL (
               SELECT state, seems_accepted, has_written FROM contacts k
               WHERE k.user_id = s.user_id AND k.other_id = s.other_id LIMIT 1
           ) AS c ON true
       ), shown AS (
           UPDATE messages m SET read_at = now()
           FROM states one JOIN states other ON other.user_id = one.other_id AND other.other_id = one.user_id
           WHERE one.state = 'accepted' AND other.state = 'accepted'
             AND (one.before <> 'accepted' OR other.before <> 'accepted')
             AND m.to_id = one.user_id AND m.from_id = one.other_id AND m.read_at = {READ_IN_SECRET}
             AND m.held_at IS NULL
           RETURNING m.id, m.to_id AS by_id, m.from_id AS other_id
       ), noted AS (
           INSERT INTO contacts AS c (user_id, other_id, state, seems_accepted, is_settled, has_written)
           SELECT one.user_id, one.other_id, one.state, one.seems_accepted,
                  other.state = 'accepted' AND other.has_written, one.has_written
           FROM states one JOIN states other ON other.user_id = one.other_id AND other.other_id = one.user_id
           ON CONFLICT (user_id, other_id) DO UPDATE
           SET state = excluded.state, seems_accepted = excluded.seems_accepted, is_settled = excluded.is_settled,
               has_written = excluded.has_written,
               since = CASE WHEN c.state = excluded.state THEN c.since ELSE excluded.since END
           WHERE (c.state, c.seems_accepted, c.is_settled, c.has_written) IS DISTINCT FROM
                 (excluded.state, excluded.seems_accepted, excluded.is_settled, excluded.has_written)
       )"""
"""Queries that note in `contacts` who wrote to whom. `written` has from_id, to_id, `opens` and `is_answered`.

`shown` then has the messages that were read in secret and are shown as read now: `id`, `by_id` and `other_id`.
"""
READS_SHOWN = "SELECT by_id, other_id, max(id) AS up_to FROM shown GROUP BY by_id, other_id"
"""The columns of ReadShown, from `shown`."""
# Notes which messages wait for a moderator. A batch that was compared may have such.
_HOLD = """, holding AS (
           INSERT INTO holds (user_id) SELECT DISTINCT from_id FROM inserted WHERE is_held
           ON CONFLICT (user_id) WHERE decided_at IS NULL DO UPDATE SET user_id = excluded.user_id
           RETURNING id, user_id
       ), waiting AS (
           INSERT INTO held_messages (message_id, hold_id, from_id, to_id)
           SELECT i.id, h.id, i.from_id, i.to_id FROM inserted i JOIN holding h ON h.user_id = i.from_id WHERE i.is_held
       )"""


def _insert(name: str, hold: str) -> Statement:
    """Returns the statement that stores any batch; nothing of one with a message whose text must be compared first.

    What is held changes nothing in contacts: its recipient must not notice.
    """
    return Statement(
        name,
        f"""WITH given AS MATERIALIZED ({_GIVEN}), judged AS MATERIALIZED (
           SELECT n, from_id, to_id, text, listing_id, client_ref, sketch,
                  is_settled, opens, takes_requests, is_answered,
                  NOT (is_known OR opens) AND NOT {_ACCEPTED_BEFORE} AS is_request,
                  is_declined AND NOT {_ANSWERED_BEFORE} AS is_declined,
                  is_held IS TRUE AND NOT is_answered AS is_held,
                  CASE WHEN {_MUST_COMPARE} THEN 'to compare' ELSE refusal END AS refusal
           FROM given g
       ), inserted AS (
           {_STORED}, held_at, read_at)
           SELECT from_id, to_id, text, listing_id, client_ref, is_request, is_declined,
                  CASE WHEN is_held THEN clock_timestamp() END,
                  CASE WHEN is_held THEN {NOT_TO_READ}::timestamptz END FROM judged
           WHERE refusal IS NULL AND (takes_requests OR NOT is_request)
             AND NOT EXISTS (SELECT FROM judged WHERE refusal = 'to compare') ORDER BY n
           {_ONCE}
           RETURNING id, from_id, to_id, client_ref, inserted_at, is_request, is_declined,
                     held_at IS NOT NULL AS is_held
       ), remembered AS (
           INSERT INTO recent_texts (from_id, to_id, sketch)
           SELECT DISTINCT from_id, to_id, decode(sketch, 'hex') FROM judged
           WHERE NOT is_answered AND refusal IS NULL AND sketch IS NOT NULL
             AND ((from_id, to_id) IN (SELECT from_id, to_id FROM inserted)) IS TRUE
       ), written AS (
           SELECT from_id, to_id, bool_or(opens) AS opens, bool_or(is_answered AND $6) AS is_answered FROM judged
           WHERE NOT is_settled AND refusal IS NULL AND NOT is_held
             AND ((from_id, to_id) IN (SELECT from_id, to_id FROM inserted)) IS TRUE
           GROUP BY from_id, to_id
       ), {NOTED}{hold}
       SELECT id, from_id, client_ref, inserted_at, is_request, is_declined, is_held, NULL, NULL::bigint FROM inserted
       UNION ALL SELECT n, NULL, NULL, NULL, NULL, NULL, NULL, coalesce(refusal, 'no requests'), NULL FROM judged
       WHERE refusal IS NOT NULL OR is_request AND NOT takes_requests
       UNION ALL SELECT up_to, by_id, NULL, NULL, NULL, NULL, NULL, 'read shown', other_id FROM ({READS_SHOWN}) AS read
       ORDER BY 1""",
        (
            *_TYPES,
            "text[]",
            "boolean[]",
            "integer[]",
            "boolean[]",
            "bigint[]",
            "integer",
            "integer",
            "double precision",
        ),
        first=TURN,
    )


_REFUSAL = 7
"""The column with the reason of a refusal, in the rows of the inserts; or it says that the row is a ReadShown."""
_INSERT = _insert("messages_insert", "")
_INSERT_COMPARED = _insert("messages_insert_compared", _HOLD)
_BY_CLIENT_REF = Statement(
    "messages_by_client_ref",
    f"""SELECT {COLUMNS}, m.client_ref FROM unnest($1, $2) AS asked (from_id, client_ref)
        JOIN messages m ON m.from_id = asked.from_id AND m.client_ref = asked.client_ref""",
    ("bigint[]", "text[]"),
)
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
       SELECT greatest((SELECT max(id) FROM messages WHERE from_id = $1 AND to_id = $2),
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
           SET text = '', pictures = NULL, deleted_at = clock_timestamp(),
               read_at = coalesce(nullif(m.read_at, {READ_IN_SECRET}), clock_timestamp())
           FROM actor WHERE m.id = $1 AND m.from_id = actor.id AND m.deleted_at IS NULL
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

    def __init__(self, database: Database | Transaction, holds: HoldLimits | None = None) -> None:
        """`holds` says what is held when it is stored; None: nothing is."""
        self._database = database
        self._holds = holds

    async def insert_with_pictures(self, new: NewMessage, picture_ids: Sequence[int]) -> Message:
        """Store a message and attach pictures that its sender has uploaded, together. It has committed on return.

        A repeat of a `client_ref` returns what was stored first, as it is. Raises MessageRefused.
        """
        async with self._database.transaction() as transaction:
            within = MessageRepository(transaction, self._holds)
            # Pictures are locked before the insert takes its turn: a second request that names them waits here.
            pictures = await take(transaction, new.from_id, picture_ids)
            if pictures is None:
                first = (
                    None
                    if new.client_ref is None
                    else (await within._by_client_ref([new])).get((new.from_id, new.client_ref))
                )
                if first is None:
                    raise InvalidMessage({"pictures": ["Not pictures that you have uploaded and not sent yet."]})
                return first
            answer = await within._insert_one(new)
            if isinstance(answer, MessageRefused):
                raise answer
            shown = await attach(transaction, answer.id, pictures)
            return answer if shown is None else replace(answer, pictures=shown)

    async def _insert_one(self, new: NewMessage) -> Message | MessageRefused:
        """Store a message within a transaction.

        The first insert takes the lock of all messages, and keeps it until the commit. So the text is compared before,
        although most texts need not be.
        """
        if self._holds is None:
            [answer] = await self.insert_many([new])
            return answer
        looks = {0: looks_of(new.text)}
        rows = await self._insert_part([new], [0], looks, {0}, self._holds)
        if any(row[_REFUSAL] == "to compare" for row in rows):
            # The sender has sent more meanwhile, but cannot any more.
            rows = await self._insert_part([new], [0], looks, {0}, self._holds)
        [answer] = await self._answers([new], rows)
        return answer

    async def insert_many(self, batch: Sequence[NewMessage]) -> list[Message | MessageRefused]:
        """Store the messages that may be stored; each has committed on return.

        A batch of people who know each other needs less looking up than one with a first message or an answer to it.
        All are stored by one statement, unless a sender wrote to so many people of late that texts have to be compared.

        Returns the stored message or the refusal of each, in the order of the batch. If a sender has used a
        `client_ref` before, the message that was stored first is returned, marked if it would now be refused.
        """
        rows = await self._database.fetch(_INSERT_SETTLED, *_columns(batch), self._holds is not None)
        unsettled = {row[0] - 1 for row in rows if row[_REFUSAL] == "not settled"}
        if not unsettled:
            return await self._answers(batch, rows)
        if self._holds is None:
            rows = await self._database.fetch(_INSERT, *_columns(batch), False, [], [], [], [], [], 0, 0, 0.0)
            return await self._answers(batch, rows)
        looks: dict[int, Looks] = {}
        for index in sorted(unsettled):
            looks[index] = looks_of(batch[index].text)
            # That takes milliseconds for a long text, and others have their turn in between.
            await asyncio.sleep(0)
        compared: set[int] = set()
        answers: list[Message | MessageRefused] = []
        while len(answers) < len(batch):
            part = _part(batch, len(answers), compared)
            rows = await self._insert_part(batch, part, looks, compared, self._holds)
            suspects = {batch[part[row[0] - 1]].from_id for row in rows if row[_REFUSAL] == "to compare"}
            if suspects:
                compared |= {index for index in unsettled if batch[index].from_id in suspects}
            else:
                answers += await self._answers([batch[index] for index in part], rows)
        return answers

    async def _insert_part(
        self,
        batch: Sequence[NewMessage],
        part: Sequence[int],
        looks: Mapping[int, Looks],
        compared: Set[int],
        limits: HoldLimits,
    ) -> list[tuple[Any, ...]]:
        """Store the messages with these indices, after comparing those of `compared`."""
        asked = [index for index in part if index in compared]
        judged: dict[int, Judged] = {}
        if asked:
            found = await judge(self._database, limits, [(batch[index], looks[index]) for index in asked])
            judged = dict(zip(asked, found, strict=True))
        of_sender: defaultdict[int, set[int]] = defaultdict(set)
        earlier = []
        for index in part:
            people = of_sender[batch[index].from_id]
            earlier.append(len(people - {batch[index].to_id}))
            if index in looks:
                people.add(batch[index].to_id)
        return await self._database.fetch(
            _INSERT_COMPARED if judged else _INSERT,
            *_columns([batch[index] for index in part]),
            True,
            [packed(looks[index].sketch).hex() if index in looks else None for index in part],
            [index in looks and looks[index].is_short_question for index in part],
            earlier,
            [index in judged and judged[index].is_held for index in part],
            [judged[index].compared_to if index in judged else None for index in part],
            limits.people,
            limits.questions,
            limits.seconds,
        )

    async def _answers(
        self, batch: Sequence[NewMessage], rows: Sequence[tuple[Any, ...]]
    ) -> list[Message | MessageRefused]:
        """Returns what the rows of an insert say of each message."""
        refused: dict[int, str] = {}
        shown: list[ReadShown] = []
        # Ids are assigned in the order of the batch, which tells messages without a `client_ref` apart.
        plain: list[tuple[Any, ...]] = []
        by_ref: dict[tuple[int, str], tuple[Any, ...]] = {}
        for row in rows:
            if row[_REFUSAL] == "read shown":
                shown.append(ReadShown(row[1], row[8], row[0]))
            elif row[_REFUSAL] is not None:
                refused[row[0] - 1] = row[_REFUSAL]
            elif row[2] is None:
                plain.append(row)
            else:
                by_ref[row[1], row[2]] = row
        answers: dict[int, Message | MessageRefused] = {}
        repeated: list[int] = []
        next_plain = iter(plain)
        for index, new in enumerate(batch):
            if index in refused:
                answers[index] = _refusal(refused[index])
                # A repeat of a stored message succeeds, even if the recipient has deleted the account since.
                if new.client_ref is not None:
                    repeated.append(index)
            elif new.client_ref is None:
                answers[index] = _stored(new, next(next_plain))
            elif (new.from_id, new.client_ref) in by_ref:
                answers[index] = _stored(new, by_ref.pop((new.from_id, new.client_ref)))
            else:
                repeated.append(index)
        if repeated:
            firsts = await self._by_client_ref([batch[index] for index in repeated])
            for index in repeated:
                first = firsts.get((batch[index].from_id, batch[index].client_ref or ""))
                if first is not None:
                    answers[index] = replace(first, only_for_sender=True) if index in refused else first
        for read in shown:
            _attach(read, batch, answers)
        return [answers[index] for index in range(len(batch))]

    async def _by_client_ref(self, batch: Sequence[NewMessage]) -> dict[tuple[int, str], Message]:
        """Returns stored messages by sender and `client_ref`. A new statement sees rows that the insert waited for."""
        pairs = list({(new.from_id, new.client_ref) for new in batch})
        rows = await self._database.fetch(_BY_CLIENT_REF, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
        return {(row[1], row[WIDTH]): Message(*row[:WIDTH]) for row in rows}

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


def _stored(new: NewMessage, row: tuple[Any, ...]) -> Message:
    return Message(
        row[0],
        new.from_id,
        new.to_id,
        new.text,
        new.listing_id,
        row[3],
        is_request=row[4],
        is_held=row[6],
        is_declined=row[5],
    )


def _attach(read: ReadShown, batch: Sequence[NewMessage], answers: dict[int, Message | MessageRefused]) -> None:
    """Attach what is shown to the first message between the two that was stored."""
    for index, new in enumerate(batch):
        answer = answers[index]
        if {new.from_id, new.to_id} == {read.by_id, read.other_id} and isinstance(answer, Message):
            answers[index] = replace(answer, shows_read=(*answer.shows_read, read))
            return


def _columns(batch: Sequence[NewMessage]) -> tuple[list[Any], ...]:
    return (
        [new.from_id for new in batch],
        [new.to_id for new in batch],
        [new.text for new in batch],
        [new.listing_id for new in batch],
        [new.client_ref for new in batch],
    )


def _part(batch: Sequence[NewMessage], start: int, compared: Set[int]) -> list[int]:
    """Returns the indices of the messages from `start` that one statement may store.

    Whether a message is held may depend on an earlier one of the two people: that one must be stored before.
    """
    part: list[int] = []
    pairs: dict[frozenset[int], bool] = {}
    for index in range(start, len(batch)):
        pair = frozenset((batch[index].from_id, batch[index].to_id))
        if pair in pairs and (pairs[pair] or index in compared):
            break
        pairs[pair] = pairs.get(pair, False) or index in compared
        part.append(index)
    return part


def _refusal(reason: str) -> MessageRefused:
    match reason:
        case "user not found":
            return UnknownRecipient()
        case "blocked":
            return Blocked()
        case "blocking":
            return Blocking()
        case "no requests":
            return NoRequests()
        case "sender gone":
            return SenderGone()
        case "unread warning":
            return UnreadWarning()
        case _:
            return InvalidMessage({"listing_id": ["No such listing."]})
