"""SQL about the links in mails, and about the requests for a new password that no API has looked at yet.

A link is known by the hash of its seed (api/mail_links.py), and is deleted when it is used, so it works once. A request
for a new password is one row, whatever its address: whether there is such an account is looked up later, when nobody
waits for an answer whose time would tell.
"""

from __future__ import annotations

from shared.domain.mails import LinkUsed
from shared.postgres import Database, Statement, Transaction

_ASK = Statement("forgotten_ask", "INSERT INTO forgotten_passwords (address) VALUES ($1)", ("text",))
_TAKE_ASKED = Statement(
    "forgotten_take",
    """DELETE FROM forgotten_passwords WHERE id = ANY (ARRAY(
           SELECT id FROM forgotten_passwords ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING address""",
    ("integer",),
)
# The lock on the user's row makes the count right, also if two APIs make links of one user at once.
_COUNT = Statement(
    "mail_link_count",
    """SELECT (SELECT count(*) FROM mail_links l
               WHERE l.user_id = u.id AND l.purpose = $2 AND l.expires_at > clock_timestamp())
       FROM users u WHERE u.id = $1 AND u.deleted_at IS NULL FOR UPDATE OF u""",
    ("bigint", "text"),
)
_MAKE = Statement(
    "mail_link_make",
    """INSERT INTO mail_links (hash, user_id, purpose, expires_at, address)
       VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4), $5)""",
    ("text", "bigint", "text", "double precision", "text"),
)
_FIND = Statement(
    "mail_link_find",
    "SELECT user_id FROM mail_links WHERE hash = $1 AND purpose = $2 AND expires_at > clock_timestamp()",
    ("text", "text"),
)
_USE = Statement(
    "mail_link_use",
    """DELETE FROM mail_links WHERE hash = $1 AND purpose = $2 AND expires_at > clock_timestamp()
       RETURNING address""",
    ("text", "text"),
)
_FORGET = Statement(
    "mail_link_forget",
    "DELETE FROM mail_links WHERE user_id = $1 AND ($2::text IS NULL OR purpose = $2)",
    ("bigint", "text"),
)
_SPEND = Statement(
    "mail_link_spend",
    "UPDATE mail_links SET hash = 'spent ' || gen_random_uuid() WHERE user_id = $1 AND purpose = $2",
    ("bigint", "text"),
)
_REMOVE_OLD = Statement(
    "mail_link_remove_old",
    """DELETE FROM mail_links WHERE hash = ANY (ARRAY(
           SELECT hash FROM mail_links WHERE expires_at < now() LIMIT $1))""",
    ("integer",),
)
MAX_REMOVED = 5_000
"""Links that one step removes."""


class MailLinkRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def ask_for_password(self, address: str) -> None:
        """Note that somebody has forgotten the password of the account with this address, if there is one."""
        await self._database.execute(_ASK, address)

    async def take_asked(self, most: int) -> list[str]:
        """Returns the addresses of some of these requests, and deletes them, in this transaction."""
        return [row[0] for row in await self._database.fetch(_TAKE_ASKED, most)]

    async def make(
        self, hash: str, user_id: int, purpose: str, *, seconds: float, most: int, address: str | None = None
    ) -> bool:
        """Make a link that works for `seconds`. Returns False if the user has got `most` of the purpose, or has left.

        `address` is what the link confirms. Call it in a transaction.
        """
        row = await self._database.fetch_one(_COUNT, user_id, purpose)
        if row is None or row[0] >= most:
            return False
        await self._database.execute(_MAKE, hash, user_id, purpose, seconds, address)
        return True

    async def owner(self, hash: str, purpose: str) -> int:
        """Returns the user whose link this is, without using it. Raises LinkUsed if it does not work any more."""
        return await owner_of_link(self._database, hash, purpose)


async def owner_of_link(database: Database | Transaction, hash: str, purpose: str) -> int:
    """Returns the user whose link it is. Raises LinkUsed if it does not work any more.

    Whoever uses the link locks its user before: whatever changes a user's links does so, and two in different orders
    would wait for each other.
    """
    row = await database.fetch_one(_FIND, hash, purpose)
    if row is None:
        raise LinkUsed
    return int(row[0])


async def use_link(transaction: Transaction, hash: str, purpose: str) -> str | None:
    """Use the link up. Returns the address that it confirms, if that is its purpose.

    Raises LinkUsed if it does not work any more.
    """
    row = await transaction.fetch_one(_USE, hash, purpose)
    if row is None:
        raise LinkUsed
    address: str | None = row[0]
    return address


async def forget_links(transaction: Transaction, user_id: int, purpose: str | None = None) -> None:
    """Delete the user's links, or those of one purpose: they work no more."""
    await transaction.execute(_FORGET, user_id, purpose)


async def spend_links(transaction: Transaction, user_id: int, purpose: str) -> None:
    """End the user's links of a purpose. Until they would have expired, they count among those that a user may have."""
    await transaction.execute(_SPEND, user_id, purpose)


async def remove_old_links(transaction: Transaction) -> bool:
    """Remove some links that have expired. Returns whether these were all."""
    return await transaction.execute(_REMOVE_OLD, MAX_REMOVED) < MAX_REMOVED
