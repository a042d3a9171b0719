"""A sender of mail on a real database, which sends when a test says so, and a real SMTP server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from api.mail.mailing import Mailing
from api.mail_links import MailLinks
from shared.domain.mails import MailKind
from shared.postgres import Database
from shared.repositories.outbox import Outbox
from shared.settings import Settings
from tests.api.rows import Rows
from tests.support.mail_server import MailServer, mail_server

SITE = "https://cars.example.com"


@dataclass
class Post:
    """Writes mails to one person, and looks at what is left of them."""

    rows: Rows
    outbox: Outbox
    user_id: int

    async def write(self, kind: MailKind = MailKind.PASSWORD_CHANGED, **facts: Any) -> None:
        await self.outbox.add(kind, self.user_id, {"name": "Ann", **facts})

    async def left(self) -> list[tuple[Any, ...]]:
        """Attempts, failure, whether it was given up, and whether anything personal is left, of each mail."""
        return await self.rows.fetch(
            "SELECT attempts, failure, given_up_at IS NOT NULL, address IS NOT NULL OR facts IS NOT NULL FROM outbox"
            " ORDER BY id"
        )

    async def make_due(self) -> None:
        """Let the waits of all mails pass."""
        await self.rows.execute("UPDATE outbox SET due_at = now() WHERE given_up_at IS NULL")


@pytest.fixture
async def post(rows: Rows, settings: Settings) -> AsyncIterator[Post]:
    database = Database(settings)
    [[user_id]] = await rows.fetch(
        "INSERT INTO users (name, email, password_hash) VALUES ('Ann', 'ann@example.com', 'x') RETURNING id"
    )
    yield Post(rows, Outbox(database, is_on=True), user_id)
    await database.close()


@pytest.fixture
async def smtp() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


MakeMailing = Callable[..., Mailing]
"""Makes a sender with some settings changed: `make_mailing(smtp_url=...)`."""


@pytest.fixture
async def make_mailing(settings: Settings) -> AsyncIterator[MakeMailing]:
    made: list[Mailing] = []

    def make(**changes: Any) -> Mailing:
        changed = replace(settings, **{"site_url": SITE, "mail_timeout_seconds": 20.0, **changes})
        made.append(Mailing(changed, MailLinks(changed)))
        return made[-1]

    yield make
    for mailing in made:
        await mailing.stop()


@pytest.fixture
def mailing(make_mailing: MakeMailing, smtp: MailServer) -> Mailing:
    return make_mailing(smtp_url=f"smtp://127.0.0.1:{smtp.port}")
