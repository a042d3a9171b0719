"""SQL about conversations: the other user, the last message, and the number of unread messages.

Conversations have no table, because each message would have to change two of its rows. The indexes of messages have
each user's partners in order. So the cost of a page by partner depends only on its length, and on the requests that it
passes by. The same mostly holds for a page by time; but if a few partners wrote all the latest messages, the statement
has to look at all partners.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.domain.ids import MAX_ID
from shared.domain.messages import Conversation, ConversationListing, Message, RequestState
from shared.postgres import Database, Statement
from shared.repositories.contacts import is_in_inbox, state
from shared.repositories.listings import PICTURES
from shared.repositories.message_columns import COLUMNS, WIDTH
from shared.repositories.visibility import FOR_ANYONE, sees_hidden, visible_to

RECENT = 500
"""The latest conversations are first searched in this many of the latest messages, then among all partners."""

# All statements read a `page` of (other_id, message_id): the partner, and the last message of the conversation.
_SHOWN = f"""{COLUMNS}, p.other_id, u.name,
       (SELECT count(*) FROM messages r WHERE r.to_id = $1 AND r.from_id = p.other_id AND r.read_at IS NULL),
       EXISTS (SELECT FROM blocks b WHERE b.blocker_id = $1 AND b.blocked_id = p.other_id),
       nullif({state("$1", "p.other_id")}, 'accepted'),
       about.id, about.title, about.price, about.status, about.thumbnail_url, about.is_for_anyone"""
# Who writes is registered, and so may see private listings. The role decides whether they may see hidden ones.
_SEES_HIDDEN = f"EXISTS (SELECT FROM users f WHERE f.id = $1 AND {sees_hidden('f')})"
_JOINED = f"""page p JOIN messages m ON m.id = p.message_id LEFT JOIN users u ON u.id = p.other_id
    LEFT JOIN LATERAL (
        SELECT l.id, l.title, l.price, l.status, {PICTURES} -> 0 ->> 'thumbnail_url' AS thumbnail_url,
               ({FOR_ANYONE}) IS TRUE AS is_for_anyone
        FROM (
            (SELECT s.id, s.listing_id FROM messages s
             WHERE s.from_id = $1 AND s.to_id = p.other_id AND s.listing_id IS NOT NULL ORDER BY s.id DESC LIMIT 1)
            UNION ALL
            (SELECT r.id, r.listing_id FROM messages r
             WHERE r.from_id = p.other_id AND r.to_id = $1 AND r.listing_id IS NOT NULL AND r.held_at IS NULL
             ORDER BY r.id DESC LIMIT 1)
            ORDER BY id DESC LIMIT 1
        ) AS named JOIN listings l ON l.id = named.listing_id
        JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
        WHERE {visible_to("$1", "true", _SEES_HIDDEN)}
    ) AS about ON true"""
_IS_ALL = WIDTH + 11
"""The column behind those of a conversation."""
_LAST_WITH = """greatest(
    (SELECT s.id FROM messages s WHERE s.from_id = $1 AND s.to_id = other_id ORDER BY s.id DESC LIMIT 1),
    (SELECT r.id FROM messages r WHERE r.to_id = $1 AND r.from_id = other_id AND r.held_at IS NULL
     ORDER BY r.id DESC LIMIT 1))"""

_RECENT = Statement(
    "conversations_recent",
    f"""WITH recent AS MATERIALIZED (
            (SELECT s.to_id AS other_id, s.id FROM messages s WHERE s.from_id = $1 ORDER BY s.id DESC LIMIT $3)
            UNION ALL
            (SELECT r.from_id, r.id FROM messages r WHERE r.to_id = $1 AND r.held_at IS NULL
             ORDER BY r.id DESC LIMIT $3)
            ORDER BY id DESC LIMIT $3
        ), page AS MATERIALIZED (
            SELECT other_id, max(id) AS message_id FROM recent GROUP BY other_id
            HAVING {is_in_inbox("$1", "recent.other_id")} ORDER BY 2 DESC LIMIT $2
        )
        SELECT {_SHOWN}, (SELECT count(*) FROM recent) < $3 FROM {_JOINED} ORDER BY m.id DESC""",
    ("bigint", "integer", "integer"),
)
# This jumps in the index from one partner's latest message to the next partner's, and skips all other messages.
_LATEST = Statement(
    "conversations_latest",
    f"""WITH RECURSIVE sent (other_id, message_id) AS (
            (SELECT to_id, id FROM messages WHERE from_id = $1 ORDER BY to_id DESC, id DESC LIMIT 1)
            UNION ALL
            SELECT next.to_id, next.id FROM sent, LATERAL (
                SELECT m.to_id, m.id FROM messages m WHERE m.from_id = $1 AND m.to_id < sent.other_id
                ORDER BY m.to_id DESC, m.id DESC LIMIT 1) AS next
        ), received (other_id, message_id) AS (
            (SELECT from_id, id FROM messages WHERE to_id = $1 AND held_at IS NULL
             ORDER BY from_id DESC, id DESC LIMIT 1)
            UNION ALL
            SELECT next.from_id, next.id FROM received, LATERAL (
                SELECT m.from_id, m.id FROM messages m
                WHERE m.to_id = $1 AND m.from_id < received.other_id AND m.held_at IS NULL
                ORDER BY m.from_id DESC, m.id DESC LIMIT 1) AS next
        ), page AS MATERIALIZED (
            SELECT other_id, max(message_id) AS message_id
            FROM (SELECT * FROM sent UNION ALL SELECT * FROM received) AS latest
            GROUP BY other_id HAVING max(message_id) < $2 AND {is_in_inbox("$1", "latest.other_id")}
            ORDER BY 2 DESC LIMIT $3
        )
        SELECT {_SHOWN} FROM {_JOINED} ORDER BY m.id DESC""",
    ("bigint", "bigint", "integer"),
)


def _next_after(other_id: str) -> str:
    """Returns SQL for the user's next partner in the order of ids; NULL after the last one."""
    return f"""least(
        (SELECT s.to_id FROM messages s WHERE s.from_id = $1 AND s.to_id > {other_id} ORDER BY s.to_id LIMIT 1),
        (SELECT r.from_id FROM messages r WHERE r.to_id = $1 AND r.from_id > {other_id} AND r.held_at IS NULL
         ORDER BY r.from_id LIMIT 1))"""


# The partners one after the other; those who are not in the inbox are passed by. OFFSET 0 keeps each from being looked
# up again wherever it is named.
_BY_USER = Statement(
    "conversations_by_user",
    f"""WITH RECURSIVE others (other_id, is_in_inbox, number) AS (
            SELECT first.other_id, one.is_in_inbox, one.is_in_inbox::integer
            FROM (SELECT {_next_after("$2")} AS other_id OFFSET 0) AS first,
                 LATERAL (SELECT {is_in_inbox("$1", "first.other_id")} AS is_in_inbox OFFSET 0) AS one
            UNION ALL
            SELECT next.other_id, one.is_in_inbox, others.number + one.is_in_inbox::integer
            FROM others, LATERAL (SELECT {_next_after("others.other_id")} AS other_id OFFSET 0) AS next,
                 LATERAL (SELECT {is_in_inbox("$1", "next.other_id")} AS is_in_inbox OFFSET 0) AS one
            WHERE others.other_id IS NOT NULL AND others.number < $3
        ), page AS MATERIALIZED (
            SELECT other_id, {_LAST_WITH} AS message_id FROM others WHERE other_id IS NOT NULL AND is_in_inbox
        )
        SELECT {_SHOWN} FROM {_JOINED} ORDER BY p.other_id""",
    ("bigint", "bigint", "integer"),
)
_REQUESTS_BY_USER = Statement(
    "conversations_requests_by_user",
    f"""WITH page AS MATERIALIZED (
            SELECT * FROM (
                SELECT k.other_id, {_LAST_WITH} AS message_id FROM contacts k
                WHERE k.user_id = $1 AND k.state = $4 AND k.other_id > $2 ORDER BY k.other_id OFFSET 0
            ) AS asked WHERE message_id IS NOT NULL LIMIT $3
        )
        SELECT {_SHOWN} FROM {_JOINED} ORDER BY p.other_id""",
    ("bigint", "bigint", "integer", "text"),
)
_WITH = Statement(
    "conversations_with",
    f"""WITH page AS MATERIALIZED (SELECT other_id, {_LAST_WITH} AS message_id FROM unnest($2) AS asked (other_id))
        SELECT {_SHOWN} FROM {_JOINED} WHERE m.id < $3 ORDER BY m.id DESC LIMIT $4""",
    ("bigint", "bigint[]", "bigint", "integer"),
)
_REQUESTS = Statement(
    "conversations_requests",
    f"""WITH page AS MATERIALIZED (
            SELECT k.other_id, {_LAST_WITH} AS message_id FROM contacts k WHERE k.user_id = $1 AND k.state = $2
        )
        SELECT {_SHOWN} FROM {_JOINED} WHERE m.id < $3 ORDER BY m.id DESC LIMIT $4""",
    ("bigint", "text", "bigint", "integer"),
)


class ConversationRepository:
    """The name of a deleted account is "". Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(self, user_id: int, *, before_id: int, limit: int) -> list[Conversation]:
        """Returns the user's conversations whose last message has an id smaller than `before_id`, latest first.

        These are the ones in the inbox: requests that the user has not accepted are not among them.
        """
        if before_id == MAX_ID:
            rows = await self._database.fetch(_RECENT, user_id, limit, RECENT)
            if len(rows) == limit or (rows and rows[0][_IS_ALL]):
                return [_conversation(row) for row in rows]
        rows = await self._database.fetch(_LATEST, user_id, before_id, limit)
        return [_conversation(row) for row in rows]

    async def by_user(
        self, user_id: int, *, after_id: int, limit: int, request: RequestState | None = None
    ) -> list[Conversation]:
        """Returns the user's conversations with users whose ids are greater than `after_id`, in this order.

        These are the ones in the inbox, or the requests in this state.
        """
        if request is None:
            rows = await self._database.fetch(_BY_USER, user_id, after_id, limit)
        else:
            rows = await self._database.fetch(_REQUESTS_BY_USER, user_id, after_id, limit, request.value)
        return [_conversation(row) for row in rows]

    async def requests(self, user_id: int, state: RequestState, *, before_id: int, limit: int) -> list[Conversation]:
        """Like `latest`, only for the requests in this state."""
        rows = await self._database.fetch(_REQUESTS, user_id, state.value, before_id, limit)
        return [_conversation(row) for row in rows]

    async def with_users(
        self, user_id: int, other_ids: Sequence[int], *, before_id: int, limit: int
    ) -> list[Conversation]:
        """Like `latest`, only for the conversations with these users, which may be requests."""
        rows = await self._database.fetch(_WITH, user_id, list(set(other_ids)), before_id, limit)
        return [_conversation(row) for row in rows]


def _conversation(row: Sequence[Any]) -> Conversation:
    user_id, name, unread_count, is_blocked, request, *about = row[WIDTH:_IS_ALL]
    return Conversation(
        user_id,
        name or "",
        Message(*row[:WIDTH]),
        unread_count,
        listing=None if about[0] is None else ConversationListing(*about),
        is_blocked=is_blocked,
        request=None if request is None else RequestState(request),
    )
