"""SQL that locks what is about to be changed, so that it stays as it is read until the transaction ends."""

from __future__ import annotations

from shared.postgres import Statement, Transaction

# Its user first: whoever leaves locks the row of the user, and then those of the listings.
_USER = Statement("lock_acting_user", "SELECT FROM users WHERE id = $1 FOR SHARE", ("bigint",))
_ROW = {
    table: Statement(f"lock_one_of_{table}", f"SELECT FROM {table} WHERE id = $1 FOR NO KEY UPDATE", ("bigint",))
    for table in ("listings", "categories", "users")
}


async def lock(transaction: Transaction, table: str, row_id: int, *, by: int) -> None:
    """Lock the row of `listings`, `categories` or `users` for a change by this user."""
    if table != "users":
        await transaction.execute(_USER, by)
    await transaction.execute(_ROW[table], row_id)
