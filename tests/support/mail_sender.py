"""`python -m tests.support.mail_sender` is the part of an API that sends mail, alone, so that it starts at once."""

from __future__ import annotations

import asyncio

import uvloop

from api.mail.mailing import Mailing
from api.mail_links import MailLinks
from shared.settings import Settings


async def main() -> None:
    settings = Settings.from_environment()
    Mailing(settings, MailLinks(settings)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
