"""SQL about people who leave and come back with the same confirmed address: who has blocked them stays rid of them.

When a blocked person leaves, their blocks get a keyed hash of the address. An account that proves to have the address
takes them over, and the hash is gone. An address that had to be confirmed and was not may be somebody else's, so it is
not kept. Where no address has to be confirmed, all count.
"""

from __future__ import annotations

from shared.access.address_hashes import AddressHashes
from shared.domain.email_addresses import account_of
from shared.domain.users import User
from shared.postgres import Statement, Transaction

_KEEP = Statement("returning_keep", "UPDATE blocks SET address_hash = $2 WHERE blocked_id = $1", ("bigint", "text"))
# A block that is made anew takes its turn among the inserts of messages.
_TAKE_OVER = Statement(
    "returning_take_over",
    """WITH kept AS (DELETE FROM blocks WHERE address_hash = ANY ($2) RETURNING blocker_id, created_at)
       INSERT INTO blocks (blocker_id, blocked_id, created_at)
       SELECT blocker_id, $1, min(created_at) FROM kept WHERE blocker_id <> $1 GROUP BY blocker_id
       ON CONFLICT DO NOTHING RETURNING blocker_id""",
    ("bigint", "text[]"),
)


class Returning:
    """Used within the transactions of users.py."""

    def __init__(self, hashes: AddressHashes) -> None:
        self._hashes = hashes

    async def leaves(self, transaction: Transaction, user: User) -> None:
        """Note by whom the user, who leaves, is blocked."""
        if user.is_confirmed or not user.must_confirm:
            await transaction.execute(_KEEP, user.id, self._hashes.all_of(account_of(user.email))[0])

    async def has_address(self, transaction: Transaction, user: User) -> list[int]:
        """Let the user, whose address counts now, be blocked as whoever had the account with this address before.

        Returns who blocks the user by that: the gateways have to be told of each of them.
        """
        rows = await transaction.fetch(_TAKE_OVER, user.id, self._hashes.all_of(account_of(user.email)))
        return [row[0] for row in rows]
