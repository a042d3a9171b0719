"""SQL about push subscriptions and the push messages that are to be sent to them.

A subscription belongs to a session. It goes with it: a trigger deletes it when the session is ended, and nothing is
sent for a session that has run out. Messages to send are taken with a lease, so that no transaction stays open while a
push service is asked; a process that dies leaves its messages to the others, which may then send one twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.push import MAX_SUBSCRIPTIONS, NoSession, Subscription
from shared.postgres import Database, Statement
from shared.repositories.bans import is_banned

_ALIVE = Statement(
    "push_alive",
    """SELECT FROM sessions WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > now() FOR SHARE""",
    ("text", "bigint"),
)
# A browser has one endpoint: whoever logs in there takes it over. The oldest subscriptions of a person give way.
_GIVE_WAY = Statement(
    "push_give_way",
    """DELETE FROM push_subscriptions WHERE session_id <> $1 AND (endpoint = $3 OR session_id IN (
           SELECT session_id FROM push_subscriptions WHERE user_id = $2 AND session_id <> $1
           ORDER BY created_at DESC, session_id OFFSET $4))""",
    ("text", "bigint", "text", "integer"),
)
_SUBSCRIBE = Statement(
    "push_subscribe",
    """INSERT INTO push_subscriptions (session_id, user_id, endpoint, p256dh, auth, shows_text)
       VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (session_id) DO UPDATE SET endpoint = excluded.endpoint, p256dh = excluded.p256dh,
           auth = excluded.auth, shows_text = excluded.shows_text""",
    ("text", "bigint", "text", "bytea", "bytea", "boolean"),
)
_END = Statement(
    "push_end", "DELETE FROM push_subscriptions WHERE session_id = $1 AND user_id = $2", ("text", "bigint")
)
_SHOWS_TEXT = Statement(
    "push_shows_text",
    "SELECT shows_text FROM push_subscriptions WHERE session_id = $1 AND user_id = $2",
    ("text", "bigint"),
)
_TAKE = Statement(
    "push_take",
    f"""WITH due AS MATERIALIZED (
            SELECT id FROM pushes WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
        ), t AS (
            UPDATE pushes p SET due_at = now() + make_interval(secs => $2), attempts = attempts + 1 FROM due
            WHERE p.id = due.id RETURNING p.*
        )
        SELECT t.id, t.news_id, t.other_id, t.attempts, extract(epoch FROM now() - t.made_at)::float8,
               p.user_id, p.session_id, p.endpoint, p.p256dh, p.auth, p.shows_text,
               s.revoked_at IS NULL AND s.expires_at > now() AND u.deleted_at IS NULL AND NOT {is_banned("u")}
        FROM t JOIN push_subscriptions p ON p.session_id = t.session_id
        JOIN sessions s ON s.id = p.session_id JOIN users u ON u.id = p.user_id""",
    ("integer", "double precision"),
)
# A later message may have taken its place meanwhile; that one stays.
_DONE = Statement("push_done", "DELETE FROM pushes WHERE id = $1 AND news_id = $2", ("bigint", "bigint"))
_AGAIN = Statement(
    "push_again",
    "UPDATE pushes SET due_at = now() + make_interval(secs => $3) WHERE id = $1 AND news_id = $2",
    ("bigint", "bigint", "double precision"),
)
# Only if the browser has not subscribed again meanwhile.
_GONE = Statement(
    "push_gone", "DELETE FROM push_subscriptions WHERE session_id = $1 AND endpoint = $2", ("text", "text")
)
_WAITING = Statement("push_waiting", "SELECT count(*) FROM (SELECT FROM pushes LIMIT 100000) AS counted")


@dataclass(frozen=True, slots=True)
class Push:
    """A push message that one process has taken to send."""

    id: int
    news_id: int
    other_id: int
    attempts: int
    """How often it was taken, with this time."""
    seconds: float
    """Since it was made."""
    user_id: int
    session_id: str
    subscription: Subscription
    is_alive: bool
    """Whether the session has not ended."""


class PushRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def subscribe(self, session_id: str, user_id: int, subscription: Subscription) -> None:
        """Tell the session's browser from now on. Raises NoSession."""
        endpoint = subscription.endpoint
        values = (endpoint, subscription.p256dh, subscription.auth, subscription.shows_text)
        async with self._database.transaction() as transaction:
            if await transaction.fetch_one(_ALIVE, session_id, user_id) is None:
                raise NoSession
            await transaction.execute(_GIVE_WAY, session_id, user_id, endpoint, MAX_SUBSCRIPTIONS - 1)
            await transaction.execute(_SUBSCRIBE, session_id, user_id, *values)

    async def end(self, session_id: str, user_id: int) -> None:
        """Tell the session's browser no more."""
        await self._database.execute(_END, session_id, user_id)

    async def shows_text(self, session_id: str, user_id: int) -> bool | None:
        """Returns whether the session's browser is shown texts; None if it has no subscription."""
        row = await self._database.fetch_one(_SHOWS_TEXT, session_id, user_id)
        return None if row is None else row[0]

    async def take(self, most: int, lease_seconds: float) -> list[Push]:
        """Take messages that are due, for the time of the lease."""
        rows = await self._database.fetch(_TAKE, most, lease_seconds)
        return [_push(*row) for row in rows]

    async def done(self, push: Push) -> None:
        """The message needs no further attempt."""
        await self._database.execute(_DONE, push.id, push.news_id)

    async def again(self, push: Push, seconds: float) -> None:
        """Try the message again after so many seconds."""
        await self._database.execute(_AGAIN, push.id, push.news_id, seconds)

    async def gone(self, push: Push) -> None:
        """The push service does not know the subscription any more: remove it, with all messages to it."""
        await self._database.execute(_GONE, push.session_id, push.subscription.endpoint)

    async def waiting(self) -> int:
        """Returns how many messages wait to be sent, counted up to 100,000."""
        row = await self._database.fetch_one(_WAITING)
        return int(row[0]) if row else 0


def _push(
    number: int,
    news_id: int,
    other_id: int,
    attempts: int,
    seconds: float,
    user_id: int,
    session_id: str,
    endpoint: str,
    p256dh: memoryview,
    auth: memoryview,
    shows_text: bool,
    is_alive: bool,
) -> Push:
    subscription = Subscription(endpoint=endpoint, p256dh=bytes(p256dh), auth=bytes(auth), shows_text=shows_text)
    return Push(number, news_id, other_id, attempts, seconds, user_id, session_id, subscription, is_alive)
