"""Kills whole APIs between the commit that writes a mail and the mail server's answer, and sees what arrives anyway."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path

import aiohttp

from shared.postgres import Database, Statement
from shared.settings import Settings
from tests.support.mail_server import STEPS, Conversation, mail_server
from tests.support.processes import Node, Processes

COMMITTED = "committed"
"""The request was answered, and the API has not begun to send its mail."""
MOMENTS = (COMMITTED, *STEPS)
"""When an API is killed: first just after the answer to the request, then at each step of sending."""
SECONDS = 120.0
"""How long a step may take on a busy machine."""
_USER = Statement(
    "killed_apis_user",
    """INSERT INTO users (name, email, email_account, password_hash, confirmed_at)
       VALUES ('Ann', $1, $1, 'x', now())""",
    ("text",),
)
# As if the time had passed for which the killed API had taken its mails.
_LET_GO = Statement("", "UPDATE outbox SET due_at = written_at")
_LEFT = Statement("", "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM forgotten_passwords)")


@dataclass
class Outcome:
    """What happened to the mails, one of each request."""

    kills: Counter[str] = field(default_factory=Counter)
    """How many APIs were killed at each moment."""
    ids_of_mails: list[set[str]] = field(default_factory=list)
    """The Message-IDs under which the mail of each request arrived."""
    arrivals: int = 0


def expected_kills(kills: int) -> Counter[str]:
    """Returns how many of the kills are at each moment, in turns."""
    return Counter(islice(cycle(MOMENTS), kills))


async def kill_apis(settings: Settings, directory: Path, kills: int) -> Outcome:
    """Start an API, make it write a mail by a request, and kill it before it is done with the mail; `kills` times.

    Every other request registers somebody; the others ask for a new password. Each API first sends what those before it
    have left. The last one is not killed.
    """
    outcome, database = Outcome(), Database(settings)
    killed = asyncio.Event()
    doomed: Node | None = None
    moments = list(islice(cycle(MOMENTS), kills))

    async def kill_at(step: str, conversation: Conversation) -> str | None:
        if doomed is None or step != moments[outcome.kills.total()]:
            return None
        _kill(doomed, step)
        # What the server would still do for the process that is gone does not count.
        await asyncio.Event().wait()
        return None

    def _kill(node: Node, moment: str) -> None:
        nonlocal doomed
        node.kill()
        doomed = None
        outcome.kills[moment] += 1
        killed.set()

    async with mail_server() as server, aiohttp.ClientSession() as client:
        server.on_step = kill_at
        changed = replace(
            settings,
            smtp_url=f"smtp://127.0.0.1:{server.port}",
            site_url="https://cars.example.com",
            mail_seconds=0.01,
            mails_at_once=1,
            rate_limits=False,
        )
        processes = Processes(changed, directory)
        try:
            for number, moment in enumerate(moments):
                killed.clear()
                if moment == COMMITTED:
                    node = await processes.api(MAIL_SECONDS="1000000")
                else:
                    node = await processes.api()
                    await _send_what_is_left(database)
                    doomed = node
                await _cause_mail(client, database, node, number)
                if moment == COMMITTED:
                    _kill(node, moment)
                async with asyncio.timeout(SECONDS):
                    await killed.wait()
            await processes.api()
            await _send_what_is_left(database)
        finally:
            await processes.stop()
            await database.close()
    arrived = [(one.recipients, str(one.message["Message-ID"])) for one in server.received]
    outcome.arrivals = len(arrived)
    outcome.ids_of_mails = [
        {message_id for recipients, message_id in arrived if recipients == [_address(number)]}
        for number in range(kills)
    ]
    return outcome


async def _cause_mail(client: aiohttp.ClientSession, database: Database, node: Node, number: int) -> None:
    body = {"email": _address(number)}
    if number % 2:
        path, status = "/api/register", 201
        body |= {"name": "Ann", "password": "correct horse battery"}
    else:
        path, status = "/api/password/forgotten", 202
        await database.execute(_USER, _address(number))
    try:
        async with client.post(node.url + path, json=body) as response:
            assert response.status == status, await response.text()
    except aiohttp.ClientError:
        # The mail was committed and begun, and the API killed, before the answer came.
        assert not node.is_running


async def _send_what_is_left(database: Database) -> None:
    await database.execute(_LET_GO)
    async with asyncio.timeout(SECONDS):
        while (await database.fetch(_LEFT))[0][0]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _address(number: int) -> str:
    return f"person{number}@example.com"
