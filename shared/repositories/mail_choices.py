"""SQL about what people have chosen for each kind of mail. Only choices that differ from the usual ones have rows."""

from __future__ import annotations

from collections.abc import Mapping

from shared.domain.mails import SWITCHES, Choice, MailKind
from shared.postgres import Database, Statement, Transaction

_OF_USER = Statement("mail_choices_of_user", "SELECT kind, choice FROM mail_choices WHERE user_id = $1", ("bigint",))
_CHOOSE = Statement(
    "mail_choose",
    """INSERT INTO mail_choices (user_id, kind, choice) SELECT id, $2, $3 FROM users
       WHERE id = $1 AND deleted_at IS NULL
       ON CONFLICT (user_id, kind) DO UPDATE SET choice = excluded.choice""",
    ("bigint", "text", "text"),
)
_AS_USUAL = Statement(
    "mail_choose_usual", "DELETE FROM mail_choices WHERE user_id = $1 AND kind = $2", ("bigint", "text")
)
# Mails of this kind that wait for the mail server. A mail that an API is just sending may still arrive.
_FORGET_WAITING = Statement(
    "mail_choose_forget",
    "DELETE FROM outbox WHERE user_id = $1 AND kind = $2 AND given_up_at IS NULL",
    ("bigint", "text"),
)
_FORGET_TEXT = Statement(
    "mail_choose_without_text",
    """UPDATE outbox SET facts = facts || '{"text": null}'
       WHERE user_id = $1 AND kind = $2 AND given_up_at IS NULL AND facts ->> 'text' IS NOT NULL""",
    ("bigint", "text"),
)


class MailChoiceRepository:
    """Every method raises DatabaseUnavailable while Postgres is away."""

    def __init__(self, database: Database | Transaction) -> None:
        self._database = database

    async def of_user(self, user_id: int) -> Mapping[MailKind, Choice]:
        """Returns the user's choice for every kind that can be switched off."""
        stored = dict(await self._database.fetch(_OF_USER, user_id))
        return {kind: Choice(stored.get(kind.value, switch.usual.value)) for kind, switch in SWITCHES.items()}

    async def choose(self, user_id: int, kind: MailKind, choice: Choice) -> None:
        """Store what the user chooses. It applies to mails that wait as well."""
        if choice is SWITCHES[kind].usual:
            await self._database.execute(_AS_USUAL, user_id, kind.value)
        else:
            await self._database.execute(_CHOOSE, user_id, kind.value, choice.value)
        if choice is Choice.NEVER:
            await self._database.execute(_FORGET_WAITING, user_id, kind.value)
        elif choice is not Choice.WITH_TEXT and Choice.WITH_TEXT in SWITCHES[kind].choices:
            await self._database.execute(_FORGET_TEXT, user_id, kind.value)
