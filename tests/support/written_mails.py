"""Reads the mails that an API without SMTP_URL writes into files, as `make run` does."""

from __future__ import annotations

import asyncio
import re
from email import message_from_bytes, policy
from email.message import EmailMessage

from shared.settings import Settings

PATIENCE_SECONDS = 60.0


async def link_in_mail(settings: Settings, address: str, path: str) -> str:
    """Waits for a mail to this address with a link to this path. Returns the link from its path on."""
    folder = settings.data_directory / "mail"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for file in folder.glob("*.eml"):
                message = message_from_bytes(file.read_bytes(), policy=policy.default)
                assert isinstance(message, EmailMessage)
                body = message.get_body(("plain",))
                found = re.search(rf"http://\S+({re.escape(path)}\S*)", body.get_content()) if body else None
                if found and message["To"] == address:
                    return found[1]
            await asyncio.sleep(0.05)


async def token_in_mail(settings: Settings, address: str, path: str) -> str:
    """Waits for a mail to this address with a link to this path. Returns the token of the link."""
    return (await link_in_mail(settings, address, path)).partition("#")[2]
