"""SQL about what waits for people who may be away: who has to be told of a message or an alert, and by which way.

A step of `enter` reads the messages and alerts that were stored since the last one, and enters those that their people
have not seen. Ids become visible in the order of their numbers (schema.sql), so nothing appears later below the last id
that was read; nothing is added to the transaction that stores a message. Nobody is told of requests. What was entered
is taken with a lease: `due_at` moves into the future, and a process that dies leaves its rows to the others. Every
change names the `due_at` with which it took the row, so it does nothing if the row has been taken again, or if there is
more news.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.alerts import AlertKind
from shared.domain.mails import SWITCHES, Choice, MailKind
from shared.postgres import Database, Statement, Transaction
from shared.repositories.bans import is_banned
from shared.repositories.blocked_pairs import is_blocked
from shared.repositories.contacts import is_in_inbox
from shared.repositories.visibility import sees_hidden, visible_to

ALERTS = 0
"""The `other_id` of alerts."""
TOLD_ALERTS = (AlertKind.MATCH, AlertKind.REPLY)
"""The alerts of which people are told although they are away."""
MOST_ALERTS = 3
"""Of several alerts that wait, so many are told, the latest ones."""


class Way(StrEnum):
    """How somebody who is away is told."""

    PUSH = "push"
    MAIL = "mail"


_USUAL_CHOICE = SWITCHES[MailKind.MESSAGE].usual.value
_WANTS_MAIL = f"""coalesce((SELECT c.choice FROM mail_choices c
    WHERE c.user_id = {{user}} AND c.kind = '{MailKind.MESSAGE.value}'), '{_USUAL_CHOICE}') <> '{Choice.NEVER.value}'"""
_KINDS = ", ".join(f"'{kind.value}'" for kind in TOLD_ALERTS)

# Devices are told of these messages; a message that is held, or whose sender was declined, is for its sender alone.
_IS_TOLD = "held_at IS NULL AND NOT is_declined"

# Only rows of a certain age are read: what is seen at once, as most messages between people who are online, is never
# entered. The row of `looked_at` is locked only if there is something to read.
_READ = """WITH turn AS MATERIALIZED (
        SELECT t.id FROM looked_at t WHERE t.kind = '{table}' AND
            (SELECT r.{time} FROM {table} r WHERE r.id > t.id ORDER BY r.id LIMIT 1) < now() - make_interval(secs => $1)
        FOR UPDATE SKIP LOCKED
    ), read AS MATERIALIZED (
        SELECT r.* FROM turn CROSS JOIN LATERAL (
            SELECT * FROM {table} r WHERE r.id > turn.id ORDER BY r.id LIMIT $2
        ) AS r
    ), old AS MATERIALIZED (
        SELECT * FROM read WHERE id < coalesce(
            (SELECT min(id) FROM read WHERE {time} >= now() - make_interval(secs => $1)), 9223372036854775807)
    ), moved AS (
        UPDATE looked_at SET id = (SELECT max(id) FROM old) WHERE kind = '{table}' AND id < (SELECT max(id) FROM old)
    ), found AS MATERIALIZED ({found}), entered AS (
        INSERT INTO waiting_news AS w (way, user_id, other_id, newest_id, since, due_at)
        SELECT ways.way, f.user_id, f.other_id, f.newest_id, f.since, ways.due_at
        FROM found f CROSS JOIN LATERAL (
            SELECT 'push' AS way, now() AS due_at
            WHERE EXISTS (SELECT FROM push_subscriptions p WHERE p.user_id = f.user_id)
            UNION ALL
            SELECT 'mail', f.since + make_interval(secs => $4) WHERE $3 AND {by_mail}
        ) AS ways
        ORDER BY f.user_id, f.other_id, ways.way
        ON CONFLICT (user_id, other_id, way) DO UPDATE SET newest_id = greatest(w.newest_id, excluded.newest_id),
            since = CASE WHEN w.due_at IS NULL THEN excluded.since ELSE w.since END,
            away_since = CASE WHEN w.due_at IS NULL THEN NULL ELSE w.away_since END,
            due_at = least(w.due_at, excluded.due_at)
    )
    SELECT count(*) FROM old"""
_READ_MESSAGES = Statement(
    "waiting_read_messages",
    _READ.format(
        table="messages",
        time="inserted_at",
        found=f"""SELECT to_id AS user_id, from_id AS other_id, max(id) AS newest_id, min(inserted_at) AS since FROM old
            WHERE read_at IS NULL AND to_id <> from_id AND NOT is_request AND {_IS_TOLD} GROUP BY 1, 2""",
        by_mail=_WANTS_MAIL.format(user="f.user_id"),
    ),
    ("double precision", "integer", "boolean", "double precision"),
)
_READ_ALERTS = Statement(
    "waiting_read_alerts",
    _READ.format(
        table="alerts",
        time="told_at",
        found=f"""SELECT user_id, {ALERTS}::bigint AS other_id, max(id) AS newest_id, min(told_at) AS since FROM old
            WHERE seen_at IS NULL AND kind IN ({_KINDS}) GROUP BY 1""",
        # Mails about alerts are written where alerts are.
        by_mail="false",
    ),
    ("double precision", "integer", "boolean", "double precision"),
)
_SENDER_WRITES = f"""EXISTS (SELECT FROM users o WHERE o.id = t.other_id AND o.deleted_at IS NULL
        AND NOT {is_banned("o")}) AND NOT {is_blocked("t.user_id", "t.other_id")}
    AND {is_in_inbox("t.user_id", "t.other_id")}"""
# That its sender has deleted the message, which was unread, is no look: else each deletion would allow another mail.
_LOOKED_SINCE = """EXISTS (SELECT FROM (
        SELECT l.read_at, l.deleted_at FROM messages l WHERE l.to_id = t.user_id AND l.from_id = t.other_id
        ORDER BY l.id DESC LIMIT 100) AS l
    WHERE l.read_at > m.deleted_at AND l.deleted_at IS NULL)"""
_WAITS = f"""(u.deleted_at IS NULL AND NOT {is_banned("u")}
    AND CASE WHEN t.way = 'push' THEN EXISTS (SELECT FROM push_subscriptions p WHERE p.user_id = t.user_id)
        -- One mail for a conversation, until it is looked at. An address that is not confirmed may be somebody else's.
        ELSE {_WANTS_MAIL.format(user="t.user_id")} AND NOT u.must_confirm
            AND NOT EXISTS (SELECT FROM messages m WHERE m.id = t.told_id AND (
                m.read_at IS NULL OR m.read_at = m.deleted_at AND NOT {_LOOKED_SINCE})) END
    AND CASE WHEN t.other_id = {ALERTS} THEN EXISTS (
            SELECT FROM alerts a WHERE a.user_id = t.user_id AND a.id > t.told_id AND a.seen_at IS NULL
            AND a.kind IN ({_KINDS}))
        ELSE EXISTS (
            SELECT FROM messages m WHERE m.to_id = t.user_id AND m.from_id = t.other_id AND m.read_at IS NULL
            AND m.id > t.told_id AND {_IS_TOLD})
            AND {_SENDER_WRITES} END)"""
_TAKE = Statement(
    "waiting_take",
    f"""WITH due AS MATERIALIZED (
            SELECT user_id, other_id, way FROM waiting_news WHERE due_at <= now() ORDER BY due_at LIMIT $1
            FOR UPDATE SKIP LOCKED
        ), t AS (
            UPDATE waiting_news w SET due_at = clock_timestamp() + make_interval(secs => $2) FROM due
            WHERE (w.user_id, w.other_id, w.way) = (due.user_id, due.other_id, due.way) RETURNING w.*
        )
        SELECT t.way, t.user_id, t.other_id, t.due_at, extract(epoch FROM now() - coalesce(
                   (SELECT m.inserted_at FROM messages m WHERE m.to_id = t.user_id AND m.from_id = t.other_id
                    AND m.read_at IS NULL AND m.id > t.told_id ORDER BY m.id LIMIT 1), t.since))::float8,
               extract(epoch FROM now() - t.away_since)::float8, {_WAITS}
        FROM t JOIN users u ON u.id = t.user_id""",
    ("integer", "double precision"),
)
_SAME = "user_id = $1 AND other_id = $2 AND way = $3 AND due_at = $4"
_SAME_TYPES = ("bigint", "bigint", "text", "timestamptz")
_REST = Statement(
    "waiting_rest", f"UPDATE waiting_news SET due_at = NULL, away_since = NULL WHERE {_SAME}", _SAME_TYPES
)
_TOLD_LIVE = Statement(
    "waiting_told_live",
    f"UPDATE waiting_news SET due_at = NULL, away_since = NULL, told_id = newest_id WHERE {_SAME}",
    _SAME_TYPES,
)
_LATER = Statement(
    "waiting_later",
    f"""UPDATE waiting_news SET due_at = now() + make_interval(secs => $5),
            away_since = CASE WHEN $6 THEN coalesce(away_since, now()) END
        WHERE {_SAME}""",
    (*_SAME_TYPES, "double precision", "boolean"),
)
_TOLD = f"""row AS MATERIALIZED (SELECT * FROM waiting_news WHERE {_SAME} FOR UPDATE), told AS (
        UPDATE waiting_news SET told_id = newest_id, due_at = NULL, away_since = NULL WHERE {_SAME}
    )"""
# The subscriptions are locked, because one may just end.
_PUSH = Statement(
    "waiting_push",
    f"""WITH {_TOLD}, news AS (
            SELECT row.user_id, row.other_id, row.newest_id AS id FROM row WHERE row.other_id <> {ALERTS}
            UNION ALL
            SELECT row.user_id, row.other_id, a.id FROM row CROSS JOIN LATERAL (
                SELECT a.id FROM alerts a WHERE a.user_id = row.user_id AND a.id > row.told_id
                AND a.id <= row.newest_id AND a.seen_at IS NULL AND a.kind IN ({_KINDS}) ORDER BY a.id DESC LIMIT $5
            ) AS a WHERE row.other_id = {ALERTS}
        ), browsers AS MATERIALIZED (
            SELECT p.session_id, p.user_id FROM push_subscriptions p JOIN row ON row.user_id = p.user_id
            FOR KEY SHARE OF p
        )
        INSERT INTO pushes (session_id, other_id, news_id)
        SELECT b.session_id, news.other_id, news.id FROM news JOIN browsers b ON b.user_id = news.user_id
        ORDER BY b.session_id, news.id
        ON CONFLICT (session_id, other_id) WHERE other_id <> 0 DO UPDATE SET
            news_id = excluded.news_id, made_at = now(), due_at = now(), attempts = 0""",
    (*_SAME_TYPES, "integer"),
)
# The listing that a conversation is about: that of the last message that names one, if the person may see it.
_SEES_HIDDEN = f"EXISTS (SELECT FROM users f WHERE f.id = t.user_id AND {sees_hidden('f')})"
_ABOUT = f"""LEFT JOIN LATERAL (
        SELECT l.title FROM (
            (SELECT m.id, m.listing_id FROM messages m
             WHERE m.from_id = t.user_id AND m.to_id = t.other_id AND m.listing_id IS NOT NULL
             ORDER BY m.id DESC LIMIT 1)
            UNION ALL
            (SELECT m.id, m.listing_id FROM messages m
             WHERE m.from_id = t.other_id AND m.to_id = t.user_id AND m.listing_id IS NOT NULL AND m.held_at IS NULL
             ORDER BY m.id DESC LIMIT 1)
            ORDER BY id DESC LIMIT 1
        ) AS named JOIN listings l ON l.id = named.listing_id
        JOIN categories c ON c.id = l.category_id JOIN users s ON s.id = l.seller_id
        WHERE {visible_to("t.user_id", "true", _SEES_HIDDEN)}
    ) AS about ON true"""
_NEWEST = f"""SELECT m.id, m.text FROM messages m
    WHERE m.to_id = t.user_id AND m.from_id = t.other_id AND m.read_at IS NULL AND {_IS_TOLD}
    ORDER BY m.id DESC LIMIT 1"""
_COUNT = f"""SELECT count(*) FROM (
    SELECT FROM messages r WHERE r.to_id = t.user_id AND r.from_id = t.other_id AND r.read_at IS NULL
    AND {_IS_TOLD} LIMIT 100
    ) AS counted"""
_UNREAD = Statement(
    "waiting_unread",
    f"""SELECT t.user_id, t.other_id, m.id, o.name, m.text, about.title,
               (SELECT n.count FROM ({_COUNT}) AS n)
        FROM (SELECT DISTINCT * FROM unnest($1, $2) AS asked (user_id, other_id)) AS t
        JOIN users o ON o.id = t.other_id
        CROSS JOIN LATERAL ({_NEWEST}) AS m {_ABOUT} WHERE {_SENDER_WRITES}""",
    ("bigint[]", "bigint[]"),
)
_WAS_READ = Statement(
    "waiting_was_read",
    "SELECT FROM messages WHERE id = $1 AND read_at IS NOT NULL AND deleted_at IS NULL",
    ("bigint",),
)
_MAIL = Statement(
    "waiting_mail",
    f"""WITH {_TOLD}
        INSERT INTO outbox (user_id, kind, address, facts)
        SELECT u.id, '{MailKind.MESSAGE.value}', u.email, jsonb_build_object(
            'name', u.name, 'sender', o.name, 'other_id', o.id, 'message_id', m.id, 'title', about.title,
            'count', n.count, 'text', CASE WHEN c.choice = '{Choice.WITH_TEXT.value}' THEN m.text END)
        FROM row t JOIN users u ON u.id = t.user_id AND u.deleted_at IS NULL AND NOT u.must_confirm
        JOIN users o ON o.id = t.other_id
        LEFT JOIN mail_choices c ON c.user_id = u.id AND c.kind = '{MailKind.MESSAGE.value}'
        CROSS JOIN LATERAL ({_NEWEST}) AS m CROSS JOIN LATERAL ({_COUNT}) AS n {_ABOUT}
        WHERE {_SENDER_WRITES} AND coalesce(c.choice, '{_USUAL_CHOICE}') <> '{Choice.NEVER.value}'""",
    _SAME_TYPES,
)
_WAITING = Statement(
    "waiting_count",
    "SELECT count(*) FROM (SELECT FROM waiting_news WHERE due_at IS NOT NULL LIMIT 100000) AS counted",
)
_REMOVE_SEEN = Statement(
    "waiting_remove_seen",
    f"""DELETE FROM waiting_news w WHERE ctid = ANY (ARRAY(
            SELECT w.ctid FROM waiting_news w WHERE w.due_at IS NULL AND w.since < now() - interval '1 day'
            AND CASE WHEN w.other_id = {ALERTS}
                THEN NOT EXISTS (SELECT FROM alerts a WHERE a.user_id = w.user_id AND a.seen_at IS NULL)
                ELSE NOT EXISTS (SELECT FROM messages m WHERE m.to_id = w.user_id AND m.from_id = w.other_id
                                 AND m.read_at IS NULL) END
            LIMIT $1))""",
    ("integer",),
)
_MOST_REMOVED = 1000


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that one process has taken: nobody else decides about it until `due_at`."""

    way: Way
    user_id: int
    other_id: int
    """The sender of the messages; ALERTS for alerts."""
    due_at: datetime
    seconds: float
    """Since the first message that was neither read nor told, or the first alert that was not told."""
    away_seconds: float | None
    """Since the first look that found the person nowhere, if no later one has found them."""
    waits: bool
    """Whether there is still something to tell: it is unseen, its sender is not blocked, the way still exists."""

    @property
    def key(self) -> tuple[int, int, str, datetime]:
        return self.user_id, self.other_id, self.way.value, self.due_at


@dataclass(frozen=True, slots=True)
class UnreadMessages:
    """A conversation with unread messages, for the person who has not read them."""

    user_id: int
    other_id: int
    newest_id: int
    sender: str
    text: str
    """Of the newest one."""
    title: str | None
    """Of the listing that the conversation is about, if there is one that the person may see."""
    count: int
    """Counted up to 100."""


class WaitingRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enter(self, *, least_seconds: float, most: int, has_mail: bool, mail_seconds: float) -> int:
        """Enter what has been stored since the last time and is at least so old. Returns how many were read.

        With `has_mail`, messages are also entered to be told by mail, `mail_seconds` after they were stored.
        """
        given = (least_seconds, most, has_mail, mail_seconds)
        messages = await self._database.fetch_one(_READ_MESSAGES, *given)
        alerts = await self._database.fetch_one(_READ_ALERTS, *given)
        return max(messages[0] if messages else 0, alerts[0] if alerts else 0)

    async def take(self, most: int, lease_seconds: float) -> list[Waiting]:
        """Take what is due, for the time of the lease."""
        rows = await self._database.fetch(_TAKE, most, lease_seconds)
        return [Waiting(Way(way), *rest) for way, *rest in rows]

    async def rest(self, one: Waiting) -> None:
        """Leave it alone until there is more news."""
        await self._database.execute(_REST, *one.key)

    async def told_live(self, one: Waiting) -> None:
        """Note that the person was told while they were online."""
        await self._database.execute(_TOLD_LIVE, *one.key)

    async def later(self, one: Waiting, seconds: float, *, is_away: bool) -> None:
        """Look again after so many seconds. `is_away`: this look has found the person nowhere."""
        await self._database.execute(_LATER, *one.key, seconds, is_away)

    async def push(self, one: Waiting) -> int:
        """Note that it is told by push, and make the push messages. Returns their number."""
        return await self._database.execute(_PUSH, *one.key, MOST_ALERTS)

    async def mail(self, one: Waiting) -> bool:
        """Note that the conversation is told by mail, and add the mail to the outbox, together.

        Returns False, without a mail, if there is nothing to tell any more.
        """
        return bool(await self._database.execute(_MAIL, *one.key))

    async def unread(self, conversations: Sequence[tuple[int, int]]) -> dict[tuple[int, int], UnreadMessages]:
        """Returns those of the conversations that have unread messages of which the first one of the pair may be told.

        Each is asked for, and found, by its reader and its sender.
        """
        users, others = [pair[0] for pair in conversations], [pair[1] for pair in conversations]
        rows = await self._database.fetch(_UNREAD, users, others)
        return {(row[0], row[1]): UnreadMessages(*row) for row in rows}

    async def was_read(self, message_id: int | None) -> bool:
        """Returns whether the message was read. None stands for that of a mail which an earlier version wrote."""
        return message_id is not None and await self._database.fetch_one(_WAS_READ, message_id) is not None

    async def waiting(self) -> int:
        """Returns how many conversations and persons' alerts wait, counted up to 100,000."""
        row = await self._database.fetch_one(_WAITING)
        return int(row[0]) if row else 0


async def remove_seen(transaction: Transaction) -> bool:
    """Delete some rows of what has been seen. Returns whether these were the last."""
    return await transaction.execute(_REMOVE_SEEN, _MOST_REMOVED) < _MOST_REMOVED
