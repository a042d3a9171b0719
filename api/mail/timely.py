"""Asks once more, just before a mail about messages or a reply is sent, whether it still has something to tell.

The mail may have waited for its server, and meanwhile its reader may have come online, read the messages, or blocked
their sender; or the reply is gone. All other mails are sent as they are.
"""

from __future__ import annotations

from enum import Enum, auto

from api.absence import Absence, NobodyKnows
from shared.domain.mails import MailKind, WaitingMail
from shared.postgres import Database
from shared.repositories.replies import ReplyRepository
from shared.repositories.waiting import WaitingRepository
from shared.settings import Settings


class Verdict(Enum):
    SEND = auto()
    LATER = auto()
    """The reader is online, or nobody knows whether."""
    NEVER = auto()
    """There is nothing to tell any more."""


class Timely:
    def __init__(self, settings: Settings, database: Database) -> None:
        self._waiting = WaitingRepository(database)
        self._replies = ReplyRepository(database, has_mail=True)
        self._absence = Absence(settings, database)

    async def verdict(self, mail: WaitingMail) -> Verdict:
        """Raises DatabaseUnavailable."""
        if mail.kind is MailKind.REPLY:
            is_told = await self._replies.is_told(mail.facts.get("reply_id"), mail.user_id)
            return Verdict.SEND if is_told else Verdict.NEVER
        if mail.kind is not MailKind.MESSAGE:
            return Verdict.SEND
        # Of what was written after the message that the mail names, another mail tells.
        if await self._waiting.was_read(mail.facts.get("message_id")) or not await self._waiting.unread(
            [(mail.user_id, mail.facts["other_id"])]
        ):
            return Verdict.NEVER
        try:
            is_online = bool(await self._absence.online([mail.user_id]))
        except NobodyKnows:
            is_online = True
        if not is_online:
            return Verdict.SEND
        # Whoever is told a day late has no use of it.
        return Verdict.NEVER if mail.is_late else Verdict.LATER

    async def close(self) -> None:
        """Close the connections."""
        await self._absence.close()
