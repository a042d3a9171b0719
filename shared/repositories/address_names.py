"""SQL that gives addresses of earlier versions the account by which all their spellings are found.

It changes only rows whose address is not ASCII and has its plain lower case. Of two accounts whose addresses turn out
to be one address, the second keeps what it has: its owner still logs in with the address as it was registered.
"""

from __future__ import annotations

from shared.domain.email_addresses import account_of
from shared.postgres import Statement, Transaction

_MOST = 500
_NEXT = Statement(
    "addresses_to_name",
    """SELECT id, email, email_account FROM users
       WHERE octet_length(email) <> char_length(email) AND email_account = lower(email) AND id > $1
       ORDER BY id LIMIT $2""",
    ("bigint", "integer"),
)
_NAME = Statement(
    "address_name",
    """UPDATE users SET email_account = $3 WHERE id = $1 AND email = $2
       AND NOT EXISTS (SELECT FROM users WHERE email_account = $3)""",
    ("bigint", "text", "text"),
)


async def name_accounts(transaction: Transaction) -> bool:
    """Look at all such addresses. Returns True: it is done in one step, because they are few."""
    last = 0
    while rows := await transaction.fetch(_NEXT, last, _MOST):
        for user_id, email, now in rows:
            account = account_of(email)
            if account != now:
                await transaction.execute(_NAME, user_id, email, account)
            last = user_id
    return True
