"""Answers requests for a new password: a link by mail, if the address is that of an account."""

from __future__ import annotations

from api.mail_links import hash_of, new_seed
from shared.domain.mails import MailKind, Purpose
from shared.postgres import Database
from shared.repositories.mail_links import MailLinkRepository
from shared.repositories.outbox import Outbox
from shared.repositories.users import UserRepository
from shared.settings import Settings

AT_ONCE = 20
"""Requests that one transaction answers."""


async def answer_some(database: Database, outbox: Outbox, settings: Settings) -> int:
    """Write the mails for some requests. Returns how many requests there were. Raises DatabaseUnavailable."""
    async with database.transaction() as transaction:
        links, users = MailLinkRepository(transaction), UserRepository(transaction)
        addresses = await links.take_asked(AT_ONCE)
        # In one order, so that two transactions never wait for each other's users.
        found = {account.user.id: account.user for one in addresses if (account := await users.for_login(one)).user}
        for user_id, user in sorted(found.items()):
            seed = new_seed()
            seconds = settings.password_link_seconds
            is_made = await links.make(
                hash_of(seed), user_id, Purpose.PASSWORD_RESET, seconds=seconds, most=settings.max_password_links
            )
            if is_made:
                # Whoever gets a mail at an address that is not confirmed may know nothing of the account.
                name = user.name if user.is_confirmed else ""
                facts = {"name": name, "seed": seed, "seconds": seconds}
                await outbox.within(transaction).add(MailKind.PASSWORD_RESET, user_id, facts, useful_seconds=seconds)
        return len(addresses)
