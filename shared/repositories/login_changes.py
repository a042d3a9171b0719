"""Tells people by mail that their account can be logged in to in another way now: somebody else may have done that."""

from __future__ import annotations

from shared.domain.mails import LoginChange, MailKind
from shared.postgres import Statement, Transaction
from shared.repositories.outbox import Outbox

_NAME = Statement("login_change_name", "SELECT name FROM users WHERE id = $1", ("bigint",))


async def tell_of_login_change(transaction: Transaction, user_id: int, what: LoginChange, *, has_mail: bool) -> None:
    """Add the mail in the transaction of the change, if this deployment sends mail."""
    row = await transaction.fetch_one(_NAME, user_id)
    if row is not None:
        facts = {"name": row[0], "what": what.value}
        await Outbox(transaction, is_on=has_mail).add(MailKind.LOGIN_CHANGED, user_id, facts)
