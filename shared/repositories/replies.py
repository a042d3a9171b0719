"""SQL about replies. The caller must have checked that the actor may see the listing."""

from __future__ import annotations

from typing import Any

import psycopg2.errors

from shared.access.policy import Action
from shared.domain.listings import ListingNotFound
from shared.domain.mails import MailKind
from shared.domain.messages import Blocked, Blocking
from shared.domain.replies import Reply, ReplyNotFound
from shared.domain.users import NoLongerAllowed
from shared.postgres import Database, Statement, Transaction
from shared.repositories.acting import acting, require
from shared.repositories.audit import record
from shared.repositories.blocked_pairs import is_blocked
from shared.repositories.outbox import adding

_COLUMNS = "r.id, r.listing_id, r.author_id, u.name, r.text, r.created_at"

_MAIL = adding(
    MailKind.REPLY,
    """jsonb_build_object('name', addressee.name, 'author', author.name, 'title', listing.title,
                          'listing_id', listing.id, 'reply_id', r.id, 'text', r.text)""",
    "told CROSS JOIN r JOIN users author ON author.id = r.author_id JOIN listings listing ON listing.id = r.listing_id",
    user_id="told.user_id",
    is_on="$4",
)
_CREATE = Statement(
    "reply_create",
    f"""WITH actor AS MATERIALIZED ({acting("$2", Action.REPLY_CREATE)}), r AS (
            INSERT INTO replies (listing_id, author_id, text) SELECT $1, id, $3 FROM actor
            WHERE NOT EXISTS (SELECT FROM listings l WHERE l.id = $1 AND {is_blocked("l.seller_id", "actor.id")})
            RETURNING *
        ), told AS (
            INSERT INTO alerts (user_id, kind, listing_id, reply_id)
            SELECT l.seller_id, 'reply', l.id, r.id FROM r JOIN listings l ON l.id = r.listing_id
            WHERE l.seller_id <> r.author_id RETURNING id, user_id
        ), mailed AS ({_MAIL})
        SELECT {_COLUMNS}, (SELECT id FROM told) FROM r JOIN users u ON u.id = r.author_id""",
    ("bigint", "bigint", "text", "boolean"),
)
_BLOCK_BETWEEN = Statement(
    "reply_block_between",
    """SELECT b.blocker_id = $2 FROM listings l JOIN blocks b
           ON b.blocker_id = $2 AND b.blocked_id = l.seller_id OR b.blocker_id = l.seller_id AND b.blocked_id = $2
       WHERE l.id = $1 ORDER BY 1 DESC LIMIT 1""",
    ("bigint", "bigint"),
)
_OF_LISTING = Statement(
    "reply_of_listing",
    f"""SELECT {_COLUMNS} FROM replies r JOIN users u ON u.id = r.author_id
        WHERE r.listing_id = $1 AND r.id > $2 ORDER BY r.id LIMIT $3""",
    ("bigint", "bigint", "integer"),
)
_BY_ID = Statement(
    "reply_by_id",
    f"SELECT {_COLUMNS} FROM replies r JOIN users u ON u.id = r.author_id WHERE r.id = $1",
    ("bigint",),
)
_DELETE = Statement("reply_delete", "DELETE FROM replies WHERE id = $1", ("bigint",))
_IS_TOLD = Statement(
    "reply_is_told",
    f"SELECT FROM replies r WHERE r.id = $1 AND NOT {is_blocked('$2', 'r.author_id')}",
    ("bigint", "bigint"),
)


class ReplyRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction, *, has_mail: bool) -> None:
        """`has_mail` says whether sellers are told of replies by mail too."""
        self._database = database
        self._has_mail = has_mail

    async def is_told(self, reply_id: int | None, reader_id: int) -> bool:
        """Returns whether the reply is still there, and there is no block between its author and the reader.

        None stands for the reply of a mail which an earlier version wrote.
        """
        return reply_id is None or await self._database.fetch_one(_IS_TOLD, reply_id, reader_id) is not None

    async def create(self, listing_id: int, author_id: int, text: str) -> tuple[Reply, int | None]:
        """Add a reply to a listing. Returns it, and the id of the alert by which its seller is told, if there is one.

        Raises ListingNotFound if the listing has been deleted, Blocked or Blocking if its seller has blocked the author
        or the other way round, or NoLongerAllowed.
        """
        try:
            async with self._database.transaction() as transaction:
                # The lock makes a block wait for this reply, or this reply for a block. The next statement sees it.
                await require(transaction, author_id, Action.REPLY_CREATE)
                row = await transaction.fetch_one(_CREATE, listing_id, author_id, text, self._has_mail)
                if row is None:
                    block = await transaction.fetch_one(_BLOCK_BETWEEN, listing_id, author_id)
                    raise NoLongerAllowed if block is None else Blocking if block[0] else Blocked
        except psycopg2.errors.ForeignKeyViolation:
            raise ListingNotFound from None
        return _reply(row[:-1]), row[-1]

    async def of_listing(self, listing_id: int, *, after_id: int, limit: int) -> list[Reply]:
        """Returns the replies with ids greater than `after_id`, oldest first."""
        return [_reply(row) for row in await self._database.fetch(_OF_LISTING, listing_id, after_id, limit)]

    async def by_id(self, reply_id: int) -> Reply:
        """Returns the reply. Raises ReplyNotFound."""
        row = await self._database.fetch_one(_BY_ID, reply_id)
        if row is None:
            raise ReplyNotFound
        return _reply(row)

    async def delete(self, reply: Reply, *, by: int) -> None:
        """Delete a reply. The audit log records it if `by` is not the author.

        Raises ReplyNotFound or NoLongerAllowed.
        """
        async with self._database.transaction() as transaction:
            await require(transaction, by, Action.REPLY_DELETE, owner_id=reply.author_id)
            if not await transaction.execute(_DELETE, reply.id):
                raise ReplyNotFound
            if reply.author_id != by:
                details = {"listing_id": reply.listing_id, "author_id": reply.author_id}
                await record(transaction, by, "reply_delete", "reply", reply.id, details=details)


def _reply(row: tuple[Any, ...]) -> Reply:
    return Reply(*row)
