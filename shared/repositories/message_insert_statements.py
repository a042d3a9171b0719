"""The statements that store private messages: one checks the recipients of a batch, and inserts it.

Inserts of messages take turns, by a lock. A transaction that ends the right to send (a block, a ban, a warning, an
account that is deleted) takes a turn as well when it commits; triggers in schema.sql see to that. So messages that
began before it are committed before it is answered, and messages that begin after it see what it has done: no message
is stored after the answer. A message that was stored before may still be on its way to the recipient's devices.
"""

from __future__ import annotations

from shared.postgres import Statement
from shared.repositories.bans import is_banned
from shared.repositories.contacts import READ_IN_SECRET
from shared.repositories.message_columns import NOT_TO_READ
from shared.repositories.turns import TURN
from shared.repositories.visibility import sees_hidden, visible_to

# Every sender is registered, and so may see private listings. The role decides whether they may see hidden ones.
_SEES_HIDDEN = f"EXISTS (SELECT FROM users f WHERE f.id = from_id AND {sees_hidden('f')})"
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
INSERT_SETTLED = Statement(
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
# Notes which messages wait for a moderator. A batch that was compared may have such. The time is one of this turn, so a
# moderator who has seen what was held until a time has seen all of it.
_HOLD = """, holding AS (
           INSERT INTO holds (user_id) SELECT DISTINCT from_id FROM inserted WHERE is_held
           ON CONFLICT (user_id) WHERE decided_at IS NULL DO UPDATE SET user_id = excluded.user_id
           RETURNING id, user_id, clock_timestamp() AS at
       ), waiting AS (
           INSERT INTO held_messages (message_id, hold_id, from_id, to_id, held_at)
           SELECT i.id, h.id, i.from_id, i.to_id, h.at
           FROM inserted i JOIN holding h ON h.user_id = i.from_id WHERE i.is_held
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


REFUSAL = 7
"""The column with the reason of a refusal, in the rows of the inserts; or it says that the row is a ReadShown."""
INSERT = _insert("messages_insert", "")
INSERT_COMPARED = _insert("messages_insert_compared", _HOLD)
