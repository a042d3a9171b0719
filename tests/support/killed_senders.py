"""Kills the process that sends mail at each step of sending, and sees what arrives all the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from shared.domain.mails import MailKind
from shared.postgres import Database, Statement
from shared.repositories.outbox import Outbox
from shared.settings import Settings
from tests.support.forked import Forked
from tests.support.mail_server import STEPS, Conversation, mail_server
from tests.support.processes import NURSERY, base_environment, environment_of

SECONDS = 120.0
"""How long a step may take on a busy machine."""
_USER = Statement(
    "", "INSERT INTO users (name, email, password_hash) VALUES ('Ann', 'a@example.com', 'x') RETURNING id"
)
# As if the time had passed for which the killed process had taken its mail.
_LET_GO = Statement("", "UPDATE outbox SET due_at = written_at")
_LEFT = Statement("", "SELECT count(*) FROM outbox")


@dataclass
class Outcome:
    """What happened to the mails."""

    kills: Counter[str] = field(default_factory=Counter)
    """How many processes were killed at each step."""
    ids_of_mails: list[set[str]] = field(default_factory=list)
    """The Message-IDs under which each mail arrived."""
    arrivals: int = 0
    left: int = 0
    """Mails that still wait."""


async def kill_senders(settings: Settings, directory: Path, kills: int) -> Outcome:
    """Write `kills` mails, and kill as many processes while they send one, each once, at the steps in turn.

    Each process first sends the mail that the last one has left, and is killed at the mail after that.
    """
    outcome, database = Outcome(), Database(settings)
    killed, sender = asyncio.Event(), list[Forked]()
    conversations = 0

    async def kill_at(step: str, conversation: Conversation) -> str | None:
        nonlocal conversations
        conversations += step == "greeting"
        number = outcome.kills.total()
        is_new = conversations == (1 if number == 0 else 2)
        if is_new and number < kills and step == STEPS[number % len(STEPS)]:
            sender[-1].kill()
            sender[-1].wait()
            outcome.kills[step] += 1
            killed.set()
            # What the server would still do for the process that is gone does not count.
            await asyncio.Event().wait()
        return None

    async with mail_server() as server:
        server.on_step = kill_at
        changed = replace(
            settings,
            smtp_url=f"smtp://127.0.0.1:{server.port}",
            site_url="https://cars.example.com",
            mail_seconds=0.01,
            mails_at_once=1,
        )
        environment = {**base_environment(), **environment_of(changed)}
        try:
            outbox = Outbox(database, is_on=True)
            [[user_id]] = await database.fetch(_USER)
            for number in range(kills):
                await outbox.add(MailKind.PASSWORD_CHANGED, user_id, {"name": f"number {number};"})
            for number in range(kills + 1):
                killed.clear()
                conversations = 0
                await database.execute(_LET_GO)
                sender.append(NURSERY.start("tests.support.mail_sender", (), environment, directory / "sender.log"))
                async with asyncio.timeout(SECONDS):
                    if number < kills:
                        await killed.wait()
                    else:
                        while (await database.fetch(_LEFT))[0][0]:  # noqa: ASYNC110
                            await asyncio.sleep(0.01)
            outcome.left = (await database.fetch(_LEFT))[0][0]
        finally:
            for one in sender:
                one.kill()
                one.wait()
            await database.close()
    bodies = [(one.message.get_body(("plain",)), str(one.message["Message-ID"])) for one in server.received]
    texts = [(body.get_content() if body else "", message_id) for body, message_id in bodies]
    outcome.arrivals = len(texts)
    outcome.ids_of_mails = [
        {message_id for text, message_id in texts if f"number {number};" in text} for number in range(kills)
    ]
    return outcome
