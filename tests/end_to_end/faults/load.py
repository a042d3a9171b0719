"""Puts load on private chat, and then compares the messages that were sent, acknowledged, stored and received."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import aiohttp

from shared.access.tokens import Tokens
from shared.domain.users import Role
from shared.settings import Settings
from tests.end_to_end.faults.user import Absence, User
from tests.support.database import add_users, stored_messages

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Reckoning:
    """The numbers of messages, after the comparison."""

    sent: int
    acknowledged: int
    stored: int
    received: int
    """By all users together; a message counts once for each user who received it."""
    repeated: int
    """Deliveries of messages that the user already had."""


WORDS = 12
"""Random words in each text, more than all texts share."""


class Load:
    """Users on the nodes with these addresses, who write to each other at a steady rate while the block lasts."""

    def __init__(
        self,
        settings: Settings,
        addresses: Sequence[str],
        *,
        users: int = 24,
        rate: float = 200.0,
        heartbeat_seconds: float = 30.0,
        padding: str = "",
    ) -> None:
        self.addresses = list(addresses)
        """Users connect to these in turn. A test may change the list, as a load balancer does after a health check."""
        self.users: list[User] = []
        self._settings = settings
        self._count = users
        self._rate = rate
        self._heartbeat_seconds = heartbeat_seconds
        self._padding = padding
        self._happened = asyncio.Event()
        self._random = random.Random(4711)
        self._sending: asyncio.Task[None] | None = None
        self.sent = 0

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        tokens = Tokens(self._settings.jwt_secrets, 3600)
        turns = itertools.count()
        for user_id in add_users(self._settings.database_url, self._count):
            token = tokens.issue(user_id, Role.USER, None)

            def pick() -> str:
                return self.addresses[next(turns) % len(self.addresses)]

            self.users.append(User(user_id, token, pick, self._client, self._happened.set, self._heartbeat_seconds))
        await self.until_all_joined()
        self._sending = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_sending()
        await asyncio.gather(*(user.stop() for user in self.users))
        await self._client.close()

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number in itertools.count(1):
            sender, recipient = self._random.sample(self.users, 2)
            # The same text to many would be held.
            words = " ".join(f"{self._random.getrandbits(40):x}" for _ in range(WORDS))
            await sender.send(recipient.id, str(number), f"{words} {self._padding}")
            self.sent = number
            await asyncio.sleep(max(0.0, started + number / self._rate - loop.time()))

    async def stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
            self._sending = None

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait for a condition. It is checked again after each event of a user."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._happened.clear()
                    await self._happened.wait()
        except TimeoutError:
            raise AssertionError(f"not within {seconds} s; {self.state()}") from None

    async def until_none(self, left: Callable[[], int]) -> None:
        """Wait until nothing is left, for as long as it becomes less: a slow machine only takes longer."""
        fewest = left()

        def is_less() -> bool:
            return left() < fewest

        while fewest:
            await self.until(is_less)
            fewest = left()

    @property
    def acknowledged(self) -> int:
        return sum(len(user.acknowledged) for user in self.users)

    @property
    def errors(self) -> int:
        return sum(user.errors.total() for user in self.users)

    @property
    def longest_answer(self) -> float:
        """Seconds."""
        return max(user.longest_answer for user in self.users)

    @property
    def longest_away(self) -> float:
        """The most seconds that one user was without a joined socket."""
        return max(user.longest_away for user in self.users)

    @property
    def absences(self) -> list[Absence]:
        """All absences of all users that have ended, the longest first."""
        return sorted((each for user in self.users for each in user.absences), key=lambda each: -each.total)

    async def more_acknowledged(self, count: int) -> None:
        """Wait until `count` more messages are acknowledged."""
        goal = self.acknowledged + count
        await self.until_none(lambda: max(0, goal - self.acknowledged))

    async def until_all_joined(self) -> None:
        """Wait until every user has a joined socket."""
        await self.until_none(lambda: sum(not user.joined for user in self.users))

    async def until_failing(self, count: int = 1) -> None:
        """Wait until `count` more sends have been answered with an error."""
        goal = self.errors + count
        await self.until(lambda: self.errors >= goal)

    def state(self) -> str:
        """The state of all users, as text for a failed assertion."""
        lines = [f"sent {self.sent}, acknowledged {self.acknowledged}"]
        lines += [
            f"user {user.id}: joined {user.joined}, unanswered {len(user.unanswered)}, received {len(user.received)}, "
            f"connects {user.connects}, closes {user.close_codes}, errors {dict(user.errors)}"
            for user in self.users
        ]
        return "\n".join(lines)

    async def reckon(self, database_url: str = "") -> Reckoning:
        """Stop sending, wait until all messages are acknowledged and have arrived, and compare them.

        `database_url` is where they are stored by now, if that has changed.

        Each message that was sent is acknowledged. The acknowledged messages, and no others, are stored, each once and
        under the id in its acknowledgement. Each user has received all messages to and from them, as they are stored.
        """
        await self.stop_sending()
        await self.until_none(lambda: sum(len(user.unanswered) for user in self.users))
        ids = [user.id for user in self.users]
        stored = await asyncio.to_thread(stored_messages, database_url or self._settings.database_url, ids)
        acknowledged = {
            (user.id, ref, message_id) for user in self.users for ref, message_id in user.acknowledged.items()
        }
        assert len(acknowledged) == self.sent
        assert {(from_id, text.split()[0], message_id) for message_id, from_id, _, text in stored} == acknowledged
        assert len(stored) == len(acknowledged)
        expected = {
            user.id: {(id_, str(from_), str(to), text) for id_, from_, to, text in stored if user.id in (from_, to)}
            for user in self.users
        }
        await self.until_none(lambda: sum(max(0, len(expected[user.id]) - len(user.received)) for user in self.users))
        for user in self.users:
            received = {(m["id"], m["from"], m["to"], m["message"]) for m in user.received.values()}
            assert received == expected[user.id], self.state()
        total = sum(len(user.received) for user in self.users)
        repeated = sum(user.deliveries for user in self.users) - total
        return Reckoning(self.sent, len(acknowledged), len(stored), total, repeated)
